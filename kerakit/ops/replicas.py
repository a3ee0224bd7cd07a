"""What replicas of a model, each with its part of the batch, know of each other."""

import keras
from keras import ops


def of_replicas(x):
    """What each replica has, on all of them; it carries a gradient.

    Under `tf.distribute` replicas are programs of their own. On JAX, as wherever one replica
    trains alone, a program sees the whole batch, and is the only one.

    Args:
        x: Float tensor of one shape on all replicas.

    Returns:
        Tensor with one more axis, the first, of length `num_replicas()`.

    Example:

    >>> float(of_replicas(2.0)[0])
    2.0
    """
    x = ops.expand_dims(x, 0)
    if num_replicas() == 1:
        return x
    from kerakit.ops import tensorflow_kernels

    return tensorflow_kernels.gathered(x)


def num_replicas():
    """Into how many parts the batch of a step is split, each with a program of its own."""
    if keras.backend.backend() != "tensorflow":
        return 1
    from kerakit.ops import tensorflow_kernels

    return tensorflow_kernels.num_replicas()
