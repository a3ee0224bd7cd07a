"""How long a training waits for its data."""

import time

import tensorflow as tf


class Waiting:
    """Adds up the time between asking for a batch and getting it.

    Attributes:
        seconds: Of all batches so far.
    """

    def __init__(self):
        with tf.init_scope(), tf.device("CPU"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    @property
    def seconds(self):
        return float(self._seconds.numpy())

    def measured(self, batches):
        """The same batches, timed in the thread that asks for them.

        Args:
            batches: tf.data, which ends in a `prefetch`, so that waiting is all that is timed.
        """

        def now():  # where operations are to be deterministic, TensorFlow's own clock refuses
            return tf.numpy_function(time.perf_counter, [], tf.float64)

        # Zip asks its parts in turn: the clock, then the batches.
        asked = tf.data.Dataset.counter().map(lambda _: now())

        def noted(start, batch):
            with tf.control_dependencies([self._seconds.assign_add(now() - start)]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # it would do the waiting
        options.experimental_optimization.map_parallelization = False
        return tf.data.Dataset.zip(asked, batches).map(noted).with_options(options)
