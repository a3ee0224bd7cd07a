"""Positions as sines and cosines."""

import math

import keras
from keras import ops


def sine_positions(positions, width, *, longest=10_000.0):
    """Vectors of sines and cosines that tell positions apart, without weights.

    `PE(p, 2i) = sin(p / longest^(2i / d))`, `PE(p, 2i + 1) = cos(p / longest^(2i / d))`: waves
    of lengths from `2 pi` to `2 pi longest`. The vector of p + k is a fixed rotation of that of
    p, so that attention can look a distance away.

    Args:
        positions: (...) numbers of any range.
        width: d, even.
        longest: Ratio of the longest wavelength to the shortest, nearly.

    Returns:
        (..., d) tensor in [-1, 1], float32 unless the positions are float64.

    Raises:
        ValueError: If `width` is not even and positive.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, Section 3.5. Deviations: none.

    Example:

    >>> import numpy as np
    >>> vectors = sine_positions(np.array([0.0, np.pi / 6]), 2)  # sin and cos of both
    >>> [[round(float(v), 3) for v in vector] for vector in vectors]
    [[0.0, 1.0], [0.5, 0.866]]
    """
    if width < 2 or width % 2:
        raise ValueError(f"`width` must be even and positive, got {width}.")
    positions = ops.convert_to_tensor(positions)
    dtype = keras.backend.result_type(positions.dtype, "float32")
    rates = [math.pow(longest, -2 * i / width) for i in range(width // 2)]
    angles = ops.cast(positions, dtype)[..., None] * ops.convert_to_tensor(rates, dtype=dtype)
    waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # side by side: 2i, 2i + 1
    return ops.reshape(waves, (*ops.shape(angles)[:-1], width))
