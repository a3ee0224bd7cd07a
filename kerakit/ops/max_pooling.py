"""Max pooling with padding on both sides, and with the places of the maxima."""

import itertools
import math

from keras import ops

from kerakit.ops.convolution_geometry import geometry, per_axis, same_pads


def pooling_geometry(input_size, pool_size, strides, padding):
    """Checked arguments of a pooling as a `Geometry`."""
    rank = len(input_size)
    pool_size = per_axis(pool_size, rank, "pool_size")
    padding = per_axis(padding, rank, "padding", least=0)
    if any(2 * p > f for p, f in zip(padding, pool_size, strict=True)):
        raise ValueError(
            f"`padding` must be at most half of `pool_size`, got {padding} and {pool_size}."
        )
    strides = pool_size if strides is None else strides
    return geometry(input_size, pool_size, strides=strides, padding=padding)


def max_pooling(x, pool_size, *, strides=None, padding=0):
    """Largest value of each window, with padding that never wins, as PyTorch counts it.

    `W_out = floor((W + 2 P - F) / S) + 1`. `keras.ops.max_pool` has "valid" and "same", which
    at stride 2 puts no padding before a 3 x 3 window on an even size where PyTorch puts one.
    Padding is -infinity. Where "same" puts the same, it is used, and nothing is copied.

    Args:
        x: (B, ..., C) float tensor with 1 to 3 spatial axes. TensorFlow's kernel for three does
            not take float64.
        pool_size: F, an integer or one a spatial axis.
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise, at most half of `pool_size`.

    Returns:
        (B, ..., C) tensor; the gradient goes to the maximum of each window alone.

    Raises:
        ValueError: If an argument is out of range or no window fits.

    Example:

    >>> x = ops.reshape(ops.arange(-6.0, 0.0), (1, 6, 1))
    >>> [float(v) for v in max_pooling(x, 3, strides=2, padding=1)[0, :, 0]]
    [-5.0, -3.0, -1.0]
    """
    x = ops.convert_to_tensor(x)
    form = pooling_geometry(x.shape[1:-1], pool_size, strides, padding)
    sizes = zip(x.shape[1:-1], form.kernel_size, form.strides, form.dilation_rate, strict=True)
    is_same = form.pads == tuple(itertools.starmap(same_pads, sizes))
    return ops.max_pool(
        x if is_same else _padded(x, form),
        form.kernel_size,
        strides=form.strides,
        padding="same" if is_same else "valid",
        data_format="channels_last",
    )


def max_pooling_with_indices(x, pool_size, *, strides=None, padding=0):
    """Largest value of each window, and where in its channel's plane it was.

    The index of the value at (row, column) is `row W + column`, counted without the padding. Of
    equal values the first in reading order counts, as in PyTorch's
    `max_pool2d(return_indices=True)`; `tf.nn.max_pool_with_argmax`, which Keras has no name
    for, knows no padding on both sides and counts the channels in (2 x 2 on 4 x 112 x 112 x 64,
    two cores: 16 ms, this 8 ms).

    Args:
        x: (B, H, W, C) float tensor.
        pool_size: F, an integer or (height, width).
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise, at most half of `pool_size`.

    Returns:
        Tuple of the (B, H_out, W_out, C) values, see `max_pooling`, and their int32 indices in
        the same shape. The index of a NaN is the first of its window.

    Raises:
        ValueError: If `x` is not 4D, an argument is out of range or no window fits.

    Example:

    >>> x = ops.reshape(ops.convert_to_tensor([[1.0, 5.0, 5.0], [0.0, 2.0, 3.0]]), (1, 2, 3, 1))
    >>> values, indices = max_pooling_with_indices(x, 2, strides=1)
    >>> [int(i) for i in indices[0, 0, :, 0]]  # the 5 at the second place, twice
    [1, 1]
    """
    x = ops.convert_to_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(f"`x` must be (B, H, W, C), got shape {tuple(x.shape)}.")
    form = pooling_geometry(x.shape[1:3], pool_size, strides, padding)
    is_padded = any(map(any, form.pads))
    values = max_pooling(x, pool_size, strides=strides, padding=padding)
    height, width = ops.shape(x)[1:3]
    size = ops.shape(values)[1:3]
    reach = [(n - 1) * s + 1 for n, s in zip(size, form.strides, strict=True)]
    first_row, first_column = _window_starts(size, form)
    padded = ops.stop_gradient(_padded(x, form))
    # How far after the start of its window a maximum lies; at first, the first place of each.
    offsets = ops.zeros_like(values, dtype="int32")
    if is_padded:
        offsets += ops.maximum(-first_row, 0) * width + ops.maximum(-first_column, 0)
    # From the last entry of the windows to the first, so that the first of equal ones stays.
    for i, j in reversed(list(itertools.product(*map(range, form.kernel_size)))):
        entry = _strided(padded[:, i : i + reach[0], j : j + reach[1]], form.strides)
        is_here = ops.equal(entry, values)
        if is_padded:  # where all is -infinity, the padding is not to be chosen
            row, column = first_row + i, first_column + j
            is_here &= (row >= 0) & (row < height) & (column >= 0) & (column < width)
        offsets = ops.where(is_here, i * width + j, offsets)
    return values, first_row * width + first_column + offsets


def _strided(x, strides):
    """Every S-th place of (B, H, W, C).

    By a pooling of 1: TensorFlow's strided slice is an order slower (the four entries of 2 x 2
    windows on 4 x 112 x 112 x 64, two cores: 32 ms by slices, 7 ms so).
    """
    if max(strides) == 1:
        return x
    return ops.max_pool(x, 1, strides=strides, padding="valid", data_format="channels_last")


def _window_starts(output_size, form):
    """Rows (H_out, 1, 1) and columns (1, W_out, 1) where the windows begin, before the padding."""
    rows, columns = (
        ops.arange(n, dtype="int32") * s - before
        for n, s, (before, _) in zip(output_size, form.strides, form.pads, strict=True)
    )
    return rows[:, None, None], columns[None, :, None]


def _padded(x, form):
    if not any(map(any, form.pads)):
        return x
    return ops.pad(x, [(0, 0), *form.pads, (0, 0)], constant_values=-math.inf)
