"""Sums of absolute differences between all pairs of rows."""

import keras
from keras import ops

from kerakit.ops.chunks import in_chunks

_ROWS = 32  # queries of a tile
_STEP = 8  # features that are summed before a tile goes back to memory


def l1_distances(queries, stored):
    """L1 distance of each query to each stored row: `d_ij = sum over p of |x_ip - y_jp|`.

    The differences of all pairs, (B, N, D), never exist at once, nor are they summed a pair at a
    time: for 8 features after another, their differences are added to the sums of 32 queries.
    That is compiled to one pass over the sums, in steps that fill vector registers; on the CPU
    backend of TensorFlow the compiler is called for it whether the model is under XLA or not.

    Args:
        queries: (B, D) values.
        stored: (N, D) values.

    Returns:
        (B, N) float32 distances. Sums of whole numbers below 2**24 are exact.

    Example:

    >>> import numpy as np
    >>> distances = l1_distances(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [4.0, 0.0]]))
    >>> [float(d) for d in distances[0]]
    [0.0, 5.0]
    """
    queries, stored = ops.cast(queries, "float32"), ops.cast(stored, "float32")
    count, features = ops.shape(queries)[0], queries.shape[1]
    # Zeros on both sides add nothing; rows of zeros at the end are cut off again.
    missing = -features % _STEP
    columns = ops.transpose(ops.pad(stored, ((0, 0), (0, missing))))
    queries = ops.pad(queries, ((0, _ROWS), (0, missing)))

    outputs = in_chunks(
        lambda rows: (_tile(ops.reshape(rows, (_ROWS, features + missing)), columns),),
        queries,
        _ROWS,
        like=[((stored.shape[0],), "float32")],
    )
    return outputs[0][:count]


def _sums_of_a_tile(rows, columns):
    features = ops.transpose(rows)

    def step(number, sums):
        first = number * _STEP
        for feature in range(_STEP):
            # One row at a time: a slice of eight would be written out before it is used, which
            # makes the whole six times as slow.
            ours, theirs = features[first + feature], columns[first + feature]
            sums = sums + ops.abs(ours[:, None] - theirs[None, :])
        return sums

    zeros = ops.zeros((rows.shape[0], columns.shape[1]), "float32")
    return ops.fori_loop(0, columns.shape[0] // _STEP, step, zeros)


if keras.backend.backend() == "tensorflow":
    from kerakit.ops.tensorflow_kernels import compiled_by_xla

    _tile = compiled_by_xla(_sums_of_a_tile)
else:
    _tile = _sums_of_a_tile
