"""Masks of boxes put where they belong in the image."""

from keras import ops

from kerakit.ops.box_formats import split_boxes


def paste_masks(masks, boxes, *, image_size):
    """Masks of M x M values resized to their boxes, in images of 0 elsewhere.

    A frame of one cell of 0 is laid around the mask, and box and mask grow by it; the box is cut
    to whole pixels, from `trunc(x1)` up to and with `trunc(x2)`, and the mask is resized to it
    bilinearly, cell centres at 0.5. Both axes are a matrix product, `rows mask columns^T`: all
    boxes at once, legal under XLA.

    Args:
        masks: (B, D, M, M) probabilities.
        boxes: (B, D, 4) xyxy in pixels of the image.
        image_size: (height, width) of the result in pixels.

    Returns:
        (B, D, height, width) float32 probabilities; 0.5 is the usual threshold.

    Raises:
        ValueError: If `masks` are not square.

    Reference:
        He et al., Mask R-CNN, 2017, Section 3.1; frame and rounding are torchvision's.
        Deviations: none.

    Example:

    >>> y = paste_masks(ops.ones((1, 1, 2, 2)), [[[2.0, 1.0, 5.0, 2.0]]], image_size=(4, 8))
    >>> [round(float(v), 2) for v in y[0, 0, 1]]
    [0.0, 0.36, 0.93, 1.0, 0.93, 0.36, 0.0, 0.0]
    """
    masks = ops.cast(masks, "float32")
    if len(masks.shape) != 4 or masks.shape[2] != masks.shape[3]:
        raise ValueError(f"`masks` must be (B, D, M, M), got shape {tuple(masks.shape)}.")
    x1, y1, x2, y2 = (ops.cast(x, "float32") for x in split_boxes(boxes))
    cells = masks.shape[-1]
    down = _shares(y1, y2, cells, image_size[0])
    across = _shares(x1, x2, cells, image_size[1])
    return ops.matmul(ops.matmul(down, masks), ops.swapaxes(across, -1, -2))


def _shares(low, high, cells, length):
    """(B, D, length, cells) share of each cell of the mask in each pixel of the image."""
    half = (high - low) * 0.5 * ((cells + 2) / cells)
    centre = (high + low) * 0.5
    # Towards 0, as a cast to whole numbers.
    low, high = (ops.sign(x) * ops.floor(ops.abs(x)) for x in (centre - half, centre + half))
    low, high = low[..., None], high[..., None]
    pixel = ops.arange(length, dtype="float32")
    side = ops.maximum(high - low + 1.0, 1.0)
    place = (pixel - low + 0.5) * ((cells + 2) / side) - 0.5
    place = ops.clip(place, 0.0, cells + 1.0)[..., None]
    # The frame's cells, 0 and cells + 1, hold 0 and need no column.
    share = ops.relu(1.0 - ops.abs(place - 1.0 - ops.arange(cells, dtype="float32")))
    is_inside = ops.logical_and(pixel >= low, pixel <= high)
    return ops.where(is_inside[..., None], share, 0.0)
