"""RoI pooling: the largest features in a grid over each box, its bounds rounded to cells."""

from typing import Any, NamedTuple

from keras import ops

from kerakit.ops.box_formats import in_box_precision
from kerakit.ops.convolution_geometry import per_axis


def roi_pooling(features, boxes, *, output_size, scale=1.0):
    """Maximum of each bin of each box, the pooling of Fast R-CNN.

    A box covers the cells from `round(x1 scale)` up to and with `round(x2 scale)`, at least one,
    n in a row; bin p of P those from `floor(p n / P)` before `ceil((p + 1) n / P)`, so that bins
    may share cells, and one that lies in the row or column after the map's last (as
    `round(x2 scale)` may) is 0. `roi_align` reads between cells instead.

    Bins differ in size, which a static shape cannot. Maxima over all windows of 1, 2, 4, ...
    cells are made once, and each bin is the maximum of the four of them in its corners, which
    cover it: as many reads for any box. The features are held once for each size of window,
    `(log2(H / P + 2) + 1)^2` times or less.

    Args:
        features: (B, H, W, C) float tensor, H, W and C known.
        boxes: (B, R, 4) xyxy in pixels of the image; what lies outside of it is cut off.
        output_size: P, an integer or (rows, columns).
        scale: Cells a pixel, such as 1 / 16.

    Returns:
        (B, R, rows, columns, C) tensor of the dtype of `features`. The gradient goes to the
        maxima; boxes take none.

    Raises:
        ValueError: If a shape is not as said.

    Reference:
        Girshick, Fast R-CNN, 2015, Section 2.1. Deviations: bins are cut by whole numbers, as
        the formula says; torchvision's float32 quotient can add a cell to one.

    Example:

    >>> ramp = ops.reshape(ops.arange(16.0), (1, 4, 4, 1))
    >>> y = roi_pooling(ramp, [[[0.0, 0.0, 2.0, 3.0]]], output_size=2)
    >>> [[float(v) for v in row] for row in y[0, 0, :, :, 0]]
    [[5.0, 6.0], [13.0, 14.0]]
    """
    features = ops.convert_to_tensor(features)
    boxes = ops.stop_gradient(in_box_precision(boxes))
    output_size = per_axis(output_size, 2, "output_size")
    if len(features.shape) != 4 or None in features.shape[1:]:
        raise ValueError(
            "`features` must be (B, H, W, C) with H, W and C known, got shape "
            f"{tuple(features.shape)}."
        )
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4:
        raise ValueError(f"`boxes` must be (B, R, 4), got shape {tuple(boxes.shape)}.")
    _, height, width, channels = features.shape
    rows = _bins(boxes[..., 1::2], height, scale, output_size[0])
    columns = _bins(boxes[..., 0::2], width, scale, output_size[1])

    windows, tall = [], features
    for row_power in range(rows.most + 1):
        tall = _doubled(tall, 1, row_power)
        wide = tall
        for column_power in range(columns.most + 1):
            wide = _doubled(wide, 2, column_power)
            windows.append(wide)
    batch, num_boxes = ops.shape(boxes)[0], ops.shape(boxes)[1]
    table = ops.reshape(ops.stack(windows), (-1, channels))

    def read(row, column):
        """Of window sizes (powers), image, row and column: the maxima, one a bin."""
        power = rows.power[:, :, :, None] * (columns.most + 1) + columns.power[:, :, None]
        image = ops.arange(batch, dtype="int32")[:, None, None, None]
        place = (power * batch + image) * height + row[:, :, :, None]
        return ops.take(table, place * width + column[:, :, None], axis=0)

    upper = ops.maximum(read(rows.first, columns.first), read(rows.first, columns.last))
    lower = ops.maximum(read(rows.last, columns.first), read(rows.last, columns.last))
    is_empty = ops.logical_or(rows.is_empty[:, :, :, None], columns.is_empty[:, :, None])
    y = ops.where(is_empty[..., None], 0.0, ops.maximum(upper, lower))
    return ops.reshape(y, (batch, num_boxes, *output_size, channels))


class _Bins(NamedTuple):
    """(B, R, bins) each but the last; of windows of 2^power cells, the first and last in a bin."""

    first: Any
    last: Any
    power: Any
    is_empty: Any
    most: int


def _bins(ends, length, scale, bins):
    """The bins of every box along one axis."""
    # Halves are rounded up. Cut off first, in floats: a huge one has no int32.
    ends = ops.where(ops.isfinite(ends), ends, 0.0)
    ends = ops.floor(ops.clip(ends * scale, 0.0, float(length)) + 0.5)
    start, end = (ops.cast(ends[..., i], "int32")[..., None] for i in (0, 1))
    cells = ops.maximum(end - start + 1, 1)
    number = ops.arange(bins, dtype="int32")
    # `cells` first: a JAX array on the left refuses the symbolic tensors of a cost report.
    first = start + ops.floor_divide(cells * number, bins)
    last = start + ops.floor_divide(cells * (number + 1) + bins - 1, bins)
    is_empty = first >= length
    first, last = ops.minimum(first, length - 1), ops.minimum(last, length)
    largest = -(-(length + 1) // bins) + 1
    most = min(largest, length).bit_length() - 1
    power = sum((ops.cast(last - first >= 2**k, "int32") for k in range(1, most + 1)), 0 * first)
    window = ops.left_shift(ops.ones_like(power), power)
    return _Bins(first, last - window, power, is_empty, most)


def _doubled(x, axis, power):
    """From maxima of half as many cells along an axis, those of 2^power; as many rows."""
    if power == 0:
        return x
    reach, length = 2 ** (power - 1), x.shape[axis]
    index = [slice(None)] * 4
    index[axis] = slice(reach, None)
    # Rows whose window would leave the map repeat the half of it; no bin reads them.
    rest = [slice(None)] * 4
    rest[axis] = slice(length - reach, None)
    return ops.maximum(x, ops.concatenate([x[tuple(index)], x[tuple(rest)]], axis=axis))
