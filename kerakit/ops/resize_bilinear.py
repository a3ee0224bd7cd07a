"""Bilinear resizing as two products with small matrices."""

import keras
from keras import ops


def resize_bilinear(maps, size):
    """Maps at another height and width, by linear interpolation along each axis.

    `keras.ops.image.resize` wants numbers as the size, also where a model takes images of any
    size. On TensorFlow it computes in float32 whatever it is given, and under XLA answers
    otherwise: of nine values made 65 it takes the wrong pair for the middle one, which of values
    of deviation 1 is off by 0.9.

    Output i of N reads `p = (i + 0.5) n / N - 0.5`, clipped to [0, n - 1]: the cells beside it by
    their nearness `max(0, 1 - |p - j|)`. That is PyTorch's `interpolate` with
    `align_corners=False`; nothing is averaged where a size shrinks.

    Args:
        maps: (B, h, w, C) float tensor.
        size: H and W, integers or scalar tensors.

    Returns:
        (B, H, W, C) tensor.

    Example:

    >>> maps = ops.reshape(ops.array([0.0, 1.0]), (1, 1, 2, 1))
    >>> [float(x) for x in ops.reshape(resize_bilinear(maps, (1, 4)), (-1,))]
    [0.0, 0.25, 0.75, 1.0]
    """
    maps = ops.convert_to_tensor(maps)
    (_, height, width, channels), (new_height, new_width) = ops.shape(maps), size
    rows = ops.reshape(maps, (-1, height, width * channels))
    rows = ops.matmul(_nearness(height, new_height, maps.dtype), rows)
    cells = ops.reshape(rows, (-1, new_height, width, channels))
    return ops.matmul(_nearness(width, new_width, maps.dtype), cells)


def _nearness(source, target, dtype):
    """(target, source): the share of each cell in each output."""
    name = keras.backend.standardize_dtype(dtype)
    exact = "float64" if name == "float64" else "float32"
    scale = ops.cast(source, exact) / ops.cast(target, exact)
    place = (ops.cast(ops.arange(target), exact) + 0.5) * scale - 0.5
    place = ops.clip(place, 0.0, ops.cast(source - 1, exact))
    cells = ops.cast(ops.arange(source), exact)
    return ops.cast(ops.relu(1.0 - ops.abs(place[:, None] - cells)), name)
