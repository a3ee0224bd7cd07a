"""What a mask head should answer: the masks of the truth, seen through the proposals."""

from keras import ops

from kerakit.ops.box_formats import in_box_precision


def mask_targets(masks, boxes, *, matches, size, mask_boxes=None):
    """Crops of the matched masks by their proposals, resized by RoI align.

    Each of the M x M values is the mean of bilinear samples of the mask, so many that they lie at
    most a pixel apart: `ceil(side / M)` along each axis. That number depends on the box, which a
    static shape cannot: here the means are two matrix products, `rows mask columns^T`, and the
    samples are summed into the matrices.

    Args:
        masks: (B, N, H, W) of 0 and 1, bool or numbers: of the whole image in pixels, or, with
            `mask_boxes`, each cropped to its box and resized to H x W.
        boxes: (B, R, 4) xyxy proposals in pixels of the image.
        matches: (B, R) int row of the mask of each proposal; negative: none.
        size: M, rows and columns of a target.
        mask_boxes: (B, N, 4) xyxy in pixels of the boxes that `masks` are cropped to.

    Returns:
        (B, R, M, M) float32 in [0, 1], without gradient; 0 where there is no match.

    Raises:
        ValueError: If `size` is not positive.

    Reference:
        He et al., Mask R-CNN, 2017, Section 3; sampling and its legacy alignment are those of
        torchvision. Deviations: at most `ceil(2 H / M)` samples a bin, so that proposals up to
        twice the height and width of the mask are exact.

    Example:

    >>> mask = ops.reshape(ops.array([[0.0, 1.0], [0.0, 1.0]]), (1, 1, 2, 2))
    >>> y = mask_targets(ops.repeat(ops.repeat(mask, 4, 2), 4, 3), [[[0.0, 0.0, 8.0, 8.0]]],
    ...     matches=[[0]], size=2)
    >>> [[round(float(v), 3) for v in row] for row in y[0, 0]]
    [[0.125, 1.0], [0.125, 1.0]]
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"`size` must be a positive integer, got {size!r}.")
    masks = ops.cast(masks, "float32")
    boxes = ops.cast(in_box_precision(boxes), "float32")
    matches = ops.cast(matches, "int32")
    height, width = masks.shape[2:]
    row = ops.maximum(matches, 0)
    if mask_boxes is not None:
        frame = ops.cast(in_box_precision(mask_boxes), "float32")
        frame = ops.take_along_axis(frame, row[..., None], axis=1)
        sides = frame[..., 2:] - frame[..., :2]
        cells = ops.array([width, height], "float32") / ops.where(sides > 0, sides, 1.0)
        boxes = (boxes - ops.tile(frame[..., :2], 2)) * ops.tile(cells, 2)
    chosen = ops.take_along_axis(masks, row[..., None, None], axis=1)
    down = _means(boxes[..., 1::2], height, size)
    across = _means(boxes[..., 0::2], width, size)
    y = ops.matmul(ops.matmul(down, chosen), ops.swapaxes(across, -1, -2))
    return ops.stop_gradient(ops.where(matches[..., None, None] >= 0, y, 0.0))


def _means(ends, length, size):
    """(B, R, size, length) share of each cell in each value."""
    start = ends[..., 0, None, None]
    side = ops.maximum(ends[..., 1, None, None] - start, 1.0)
    most = -(-2 * length // size)
    number = ops.clip(ops.ceil(side / size), 1.0, float(most))
    number = ops.where(ops.isfinite(side), number, 1.0)
    bins = start + ops.arange(size, dtype="float32")[:, None] * (side / size)
    cells = ops.arange(length, dtype="float32")

    def more_samples(sample, _):
        return sample < ops.max(number, initial=0.0)

    def add(sample, shares):
        point = bins + (sample + 0.5) * (side / size / number)
        takes = ops.logical_and(sample < number, ops.logical_and(point >= -1.0, point <= length))
        point = ops.clip(ops.where(takes, point, 0.0), 0.0, length - 1.0)
        share = ops.relu(1.0 - ops.abs(cells - point)) / number
        return sample + 1.0, shares + ops.where(takes, share, 0.0)

    shares = ops.zeros((*ops.shape(ends)[:2], size, length), "float32")
    return ops.while_loop(more_samples, add, (ops.zeros(()), shares), maximum_iterations=most)[1]
