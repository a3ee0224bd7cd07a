"""Where RoI align reads its feature maps, and how much of each place it takes."""

import keras
import numpy as np
from keras import ops

from kerakit.ops.box_formats import in_box_precision


def read_regions(maps, boxes, *, scales, levels, output_size, sampling_ratio, aligned):
    """Sums of feature vectors at the sampling points of every bin of every box.

    Sampling points are a grid of rows and columns, so a bin of S x S points is a sum over 2 S
    rows and 2 S columns of the map, whose weights are a product. All levels lie one behind the
    other as one table of feature vectors: what a box costs does not depend on how many levels
    there are, nor on their size.

    Args:
        maps: (B, H, W, C) float tensor of each level, H and W known.
        boxes: (B, R, 4) xyxy in pixels of the image.
        scales: Of each level, cells a pixel.
        levels: (B, R) int level of each box; None: the first.
        output_size: (rows, columns) of bins.
        sampling_ratio: S.
        aligned: See `roi_align`.

    Returns:
        (B, R, rows, columns, C) tensor of the dtype of the maps.

    Example:

    >>> y = read_regions([ops.ones((1, 4, 4, 2))], [[[0.0, 0.0, 4.0, 4.0]]], scales=[1.0],
    ...     levels=None, output_size=(2, 2), sampling_ratio=1, aligned=True)
    >>> float(y[0, 0, 1, 1, 0])
    1.0
    """
    maps = [ops.convert_to_tensor(x) for x in maps]
    boxes = ops.stop_gradient(in_box_precision(boxes))
    heights, widths, channels = ([x.shape[axis] for x in maps] for axis in (1, 2, 3))
    cells = [h * w for h, w in zip(heights, widths, strict=True)]

    def of_level(values, dtype):
        values = np.asarray(values, dtype)
        if levels is None:
            return ops.convert_to_tensor(values[0])
        return ops.take(ops.convert_to_tensor(values), levels, axis=0)[..., None, None]

    scale = of_level(scales, keras.backend.standardize_dtype(boxes.dtype))
    rows, row_weights = _along(
        boxes[..., 1::2], of_level(heights, "int32"), scale, output_size[0], sampling_ratio, aligned
    )
    columns, column_weights = _along(
        boxes[..., 0::2], of_level(widths, "int32"), scale, output_size[1], sampling_ratio, aligned
    )
    batch, bins = ops.shape(boxes)[0], (ops.shape(boxes)[1], *output_size)
    first = ops.arange(batch, dtype="int32")[:, None, None, None] * sum(cells)
    starts = first + of_level(np.cumsum([0, *cells[:-1]]), "int32")
    rows = starts + rows * of_level(widths, "int32")
    # (B, R, rows, columns, 2 S, 2 S): cells in the table.
    places = rows[:, :, :, None, :, None] + columns[:, :, None, :, None, :]
    weights = row_weights[:, :, :, None, :, None] * column_weights[:, :, None, :, None, :]
    taps = (2 * sampling_ratio) ** 2
    places = ops.reshape(places, (-1, taps))
    weights = ops.reshape(weights, (-1, taps))
    flat = [ops.reshape(x, (batch, n, channels[0])) for x, n in zip(maps, cells, strict=True)]
    table = flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=1)
    table = in_box_precision(ops.reshape(table, (-1, channels[0])))
    sums = _weighted_sums(table, places, ops.cast(weights, table.dtype))
    return ops.cast(ops.reshape(sums, (batch, *bins, channels[0])), maps[0].dtype)


def _along(ends, length, scale, bins, samples, aligned):
    """Cells that each bin reads along one axis and their weights, (B, R, bins, 2 S) both.

    As torchvision: a point up to one cell outside the map takes the cell at the border, one
    farther outside takes nothing.
    """
    offset = 0.5 if aligned else 0.0
    start, end = (ops.expand_dims(ends[..., i], (-2, -1)) * scale - offset for i in (0, 1))
    size = end - start if aligned else ops.maximum(end - start, 1.0)
    size = size / bins
    dtype = keras.backend.standardize_dtype(ends.dtype)
    number = ops.arange(bins, dtype=dtype)[:, None]
    part = (ops.arange(samples, dtype=dtype) + 0.5) / samples
    point = start + number * size + part * size
    limit = ops.cast(length, point.dtype)
    # Not a number is nowhere: both comparisons are false.
    is_read = ops.logical_and(point >= -1.0, point <= limit)
    point = ops.minimum(ops.maximum(ops.where(is_read, point, 0.0), 0.0), limit - 1.0)
    low = ops.floor(point)
    fraction = point - low
    low = ops.cast(low, "int32")
    weight = ops.cast(is_read, dtype) / samples
    cells = ops.stack([low, ops.minimum(low + 1, length - 1)], axis=-1)
    weights = ops.stack([weight * (1.0 - fraction), weight * fraction], axis=-1)
    shape = (*ops.shape(point)[:-1], 2 * samples)
    return ops.reshape(cells, shape), ops.reshape(weights, shape)


def _weighted_sums(table, places, weights):
    """`y[n] = sum over t of weights[n, t] table[places[n, t]]`."""
    if keras.backend.backend() == "tensorflow":
        from kerakit.ops import tensorflow_kernels

        if not tensorflow_kernels.under_xla() and not tensorflow_kernels.has_gpu():
            return tensorflow_kernels.sparse_rows_product(table, places, weights)
    # One tap of all bins at a time: together they would be 16 times the result.
    sums = 0.0
    for tap in range(places.shape[-1]):
        sums = sums + weights[:, tap, None] * ops.take(table, places[:, tap], axis=0)
    return sums
