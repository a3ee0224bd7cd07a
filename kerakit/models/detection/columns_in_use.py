"""How much of padded rows a batch needs, where shapes may depend on the data."""

import keras
from keras import ops


def columns_in_use(is_used):
    """Columns up to the last that any image uses, at least one.

    On TensorFlow outside of XLA work can be done for these alone: a set whose fullest image has
    a hundred objects has a dozen in most batches.

    Args:
        is_used: (B, N) bool.

    Returns:
        Scalar int32 tensor; N itself where shapes are fixed.

    Example:

    >>> int(columns_in_use(ops.array([[True, False, True, False], [False] * 4]))) in (3, 4)
    True
    """
    count = is_used.shape[1]
    if keras.backend.backend() == "tensorflow":
        from kerakit.ops import tensorflow_kernels

        if tensorflow_kernels.takes_any_shape():
            place = ops.arange(1, count + 1, dtype="int32")
            return ops.maximum(ops.max(ops.where(is_used, place, 0)), 1)
    return count
