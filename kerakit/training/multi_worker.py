"""Several processes that train one model: what Keras lacks for it, and what they agree on."""

import json
import os

import keras
import numpy as np

# The versions of Keras whose private functions are known to be as `mend_keras` takes them.
KNOWN = ("3.15.",)
# Bytes that the chief tells at once.
_PART = 1 << 28
# Seconds that workers may lie apart where they wait for each other.
_PATIENCE = 24 * 3600


def mend_keras():
    """Makes Keras's `fit`, `evaluate` and `predict` work on replicas, those of workers too.

    Two of its private functions fail (keras#20585). The trainer learns the shapes of a model's
    data from a batch that it averages over the replicas, which cannot be done to booleans, nor
    under MultiWorkerMirroredStrategy: a replica's own part serves as well. And logs, which are
    scalars, are averaged over workers along their first axis, which they have not.

    And each replica decides by its own gradients, before they are added up, whether all are finite
    and the step of a scaled loss is taken: where one alone overflows, the others wait for it, or
    take its part. Here it is taken where those of all are finite.

    Raises:
        RuntimeError: If this is another version of Keras than those that were looked at.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import trainer

    if not keras.__version__.startswith(KNOWN):
        raise RuntimeError(
            f"Training by several workers is known to work with Keras {', '.join(KNOWN)}*, and "
            f"this is {keras.__version__}."
        )
    original = trainer.reduce_per_replica
    if getattr(original, "is_mended", False):
        return

    def reduce_per_replica(values, strategy, reduction):
        if not trainer._collective_all_reduce_multi_worker(strategy) or reduction == "concat":
            return original(values, strategy, reduction)
        how = "SUM" if reduction == "sum" else "MEAN"
        return keras.tree.map_structure(lambda v: strategy.reduce(how, v, axis=None), values)

    def maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._distribute_strategy is None:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda x: local(x)[0], next(batches))
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    scaling = keras.optimizers.LossScaleOptimizer
    own_are_finite = scaling.check_finite

    def check_finite(self, gradients):
        finite, context = own_are_finite(self, gradients), tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return finite
        return context.all_reduce("SUM", tf.cast(~finite, "float32")) == 0

    scaling.check_finite = check_finite
    reduce_per_replica.is_mended = True
    trainer.reduce_per_replica = reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = maybe_symbolic_build


def place_among_workers():
    """Which of how many processes the environment says that this is, as (index, count).

    On TensorFlow the variable `TF_CONFIG` says so, on JAX what `keras.distribution.initialize`
    reads. Index 0 is the chief.
    """
    if keras.backend.backend() == "jax":
        index, count = (
            int(os.environ.get(f"KERAS_DISTRIBUTION_{name}", default))
            for name, default in (("PROCESS_ID", 0), ("NUM_PROCESSES", 1))
        )
        return index, count
    told = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = told.get("cluster", {}), told.get("task", {})
    tasks = [(job, i) for job in ("chief", "worker") for i in range(len(cluster.get(job, ())))]
    if len(tasks) < 2:
        return 0, 1
    return tasks.index((task["type"], int(task["index"]))), len(tasks)


class Workers:
    """The processes that train a model together.

    Args:
        model: `keras.Model`, made in the scope of its strategy.

    Attributes:
        index: Which of them this is; 0: the chief, who writes files.
        count: How many there are.
    """

    _waits = 0

    def __init__(self, model):
        self.index, self.count, self._strategy = 0, 1, None
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._strategy = model.distribute_strategy
            if isinstance(self._strategy, tf.distribute.MultiWorkerMirroredStrategy):
                self.index, self.count = place_among_workers()
        elif keras.backend.backend() == "jax" and keras.distribution.distribution() is not None:
            import jax

            if jax.process_count() > 1:
                self.index, self.count = place_among_workers()

    @property
    def is_chief(self):
        return self.index == 0

    def total(self, values):
        """Sum over the workers, all of which must call it.

        Args:
            values: int32 NumPy array, of one shape on all of them.
        """
        values = np.asarray(values, "int32")
        if self.count == 1:
            return values
        if self._strategy is None:
            from jax.experimental import multihost_utils

            return np.asarray(multihost_utils.process_allgather(values)).sum(0, dtype="int32")
        import tensorflow as tf

        def of_replica(context):
            # A worker's value counts once, however many replicas it has.
            first = context.replica_id_in_sync_group % self._replicas_here() == 0
            return tf.constant(values if first else np.zeros_like(values))

        spread = self._strategy.experimental_distribute_values_from_function(of_replica)
        return self._strategy.reduce("SUM", spread, axis=None).numpy()

    def chief_says(self, yes):
        """Whether the chief says yes, to all of them, all of which must call it."""
        return bool(self.total([yes and self.is_chief])[0])

    def from_chief(self, content):
        """What the chief gives, given to all of them, all of which must call it.

        Args:
            content: Bytes; what others than the chief give does not count.
        """
        if self.count == 1:
            return content
        parts, rest = divmod(len(content), _PART) if self.is_chief else (0, 0)
        parts, rest = (int(number) for number in self.total([parts, rest]))
        told = []
        for number, length in enumerate([*[_PART] * parts, rest]):
            words = np.zeros(-(-length // 4), "int32")
            if self.is_chief:
                part = content[number * _PART :][:length]
                words.view("uint8")[:length] = np.frombuffer(part, "uint8")
            told.append(self.total(words).tobytes()[:length])
        return b"".join(told)

    def wait_for_each_other(self):
        """Ends when all of them have called it.

        One that leaves while another still reads what they exchanged last is taken for dead there.
        """
        if self.count == 1:
            return
        if self._strategy is None:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("kerakit")
            return
        from tensorflow.python.eager import context  # no public name has it

        Workers._waits += 1
        name = f"kerakit {Workers._waits}"  # each is for one use
        context.context().wait_at_barrier(name, timeout_in_ms=_PATIENCE * 1000)

    def own_part(self, dataset):
        """Of each global batch, (B, ...), this worker's share, as Keras's `fit` takes it.

        Args:
            dataset: tf.data of batches, of one size B that the replicas divide.
        """
        if self.count == 1:
            return dataset
        import tensorflow as tf

        here = self._replicas_here()
        parts = self.count * here

        def own(x):
            x = tf.reshape(x, (parts, x.shape[0] // parts, *x.shape[1:]))
            return x[self.index * here : (self.index + 1) * here]

        own_parts = dataset.map(lambda *batch: keras.tree.map_structure(own, batch)).unbatch()
        if self._strategy is None:
            return own_parts
        return self._strategy.distribute_datasets_from_function(lambda context: own_parts)

    def _replicas_here(self):
        return self._strategy.num_replicas_in_sync // self.count if self._strategy else 1
