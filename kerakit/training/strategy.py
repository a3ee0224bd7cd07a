"""Where a model is trained: on one device, on several, on several machines."""

import os

import keras

from kerakit.errors import InputError
from kerakit.training.multi_worker import mend_keras, place_among_workers

NAMES = ("auto", "cpu", "mirrored", "multiworker", "tpu")


def strategy(name="auto"):
    """What spreads a training over devices; a model is built and compiled within its `scope()`.

    Each step's batch, the global one, is split into equal parts, one a replica, and what
    the replicas find is averaged: with synchronised batch normalisation, see
    `synchronize_batch_normalization`, the numbers are those of one device with that batch.

    Args:
        name: `"auto"`: what there is, in this order: the workers of the variable `TF_CONFIG` (on
            JAX of `KERAS_DISTRIBUTION_NUM_PROCESSES`), a TPU, all GPUs, one device.
            `"cpu"`: the CPU alone. `"mirrored"`: all GPUs of this machine, or all logical CPUs
            where it has none. `"multiworker"`: processes that those variables name.
            `"tpu"`: all cores of a TPU.

    Returns:
        On TensorFlow a `tf.distribute.Strategy`, on JAX a `keras.distribution.DataParallel`, which
        is set for the whole process.

    Raises:
        InputError: If what is asked for is not there.
        ValueError: If there is no such name, or the backend is neither TensorFlow nor JAX.
    """
    if name not in NAMES:
        raise ValueError(f"`name` must be one of {', '.join(NAMES)}, got {name!r}.")
    makers = {"tensorflow": _of_tensorflow, "jax": _of_jax}
    if keras.backend.backend() not in makers:
        raise ValueError(
            f"`strategy` needs the backend tensorflow or jax, got {keras.backend.backend()!r}."
        )
    return makers[keras.backend.backend()](name)


def replicas(model=None):
    """How many replicas train a model, each with its part of the batch.

    Args:
        model: `keras.Model`; None: one that would be made here, in this scope.
    """
    if keras.backend.backend() == "tensorflow":
        if model is not None:
            return model.distribute_strategy.num_replicas_in_sync
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.num_model_replicas if distribution else 1


def synchronize_batch_normalization(model):
    """Has replicas normalise by the statistics of the whole batch instead of their part's.

    To be called in the strategy's scope before `compile`. Programs that see the whole batch, as
    JAX's do, do so anyway.

    Args:
        model: `keras.Model`.

    Returns:
        How many layers that were.
    """
    found = [layer for layer in model._flatten_layers() if hasattr(layer, "synchronized")]
    for layer in found:
        layer.synchronized = True
    return len(found)


def _of_tensorflow(name):
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if name == "cpu":
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        return tf.distribute.get_strategy()
    if name == "auto":
        name = _found(place_among_workers()[1] > 1, "TPU_NAME" in os.environ, len(gpus) > 1)
    if name == "multiworker":
        if place_among_workers()[1] < 2:
            raise InputError(_no_workers("TF_CONFIG"))
        mend_keras()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        mend_keras()
        return _of_tpu(tf)
    if name == "mirrored":
        mend_keras()
        kind = "GPU" if gpus else "CPU"
        return tf.distribute.MirroredStrategy(
            [d.name for d in tf.config.list_logical_devices(kind)]
        )
    return tf.distribute.get_strategy()  # one device, a GPU where there is one


def _of_tpu(tf):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--devices tpu: there is no TPU to be found ({reason}).") from error
    return tf.distribute.TPUStrategy(resolver)


def _of_jax(name):
    import jax

    workers = place_among_workers()[1] > 1
    if name == "multiworker" and not workers:
        raise InputError(_no_workers("KERAS_DISTRIBUTION_NUM_PROCESSES"))
    if workers and name != "cpu":  # before anything asks JAX for its devices
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        keras.distribution.initialize()
    kinds = {device.platform for device in jax.local_devices()}
    if name == "auto":
        name = _found(workers, "tpu" in kinds, "gpu" in kinds)
    if name == "tpu" and "tpu" not in kinds:
        raise InputError("--devices tpu: there is no TPU to be found.")
    devices = keras.distribution.list_devices("cpu" if name == "cpu" else None)
    if name == "cpu":
        devices = devices[:1]
    # The batches are cut here, see `own_part`: Keras would cut the set.
    parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    keras.distribution.set_distribution(parallel)
    return parallel


def _found(workers, tpu, gpus):
    found = {"multiworker": workers, "tpu": tpu, "mirrored": gpus, "cpu": True}
    return next(name for name, there in found.items() if there)


def _no_workers(variable):
    return (
        f"--devices multiworker: the environment variable {variable} names no other worker; "
        "on one machine give --workers 2 in its place."
    )
