"""Areas of boxes, and boxes cut off at the border of their image."""

from keras import ops

from kerakit.ops.box_formats import in_box_precision, split_boxes


def box_area(boxes):
    """Area of each box, 0 where it is turned inside out.

    `max(x2 - x1, 0) max(y2 - y1, 0)`

    Args:
        boxes: (..., 4) xyxy in pixels.

    Returns:
        (...) tensor in square pixels.

    Example:

    >>> [float(a) for a in box_area([[1.0, 1.0, 4.0, 3.0], [5.0, 5.0, 5.0, 9.0]])]
    [6.0, 0.0]
    """
    x1, y1, x2, y2 = split_boxes(boxes)
    return ops.relu(x2 - x1) * ops.relu(y2 - y1)


def clip_boxes(boxes, size):
    """Boxes cut off at the border of their image.

    `kerakit.augment` drops what left the image as well; here every row stays, a box outside as
    one of area 0.

    Args:
        boxes: (..., N, 4) xyxy in pixels.
        size: (height, width) of the image in pixels; or a tensor (..., 2), one an image.

    Returns:
        (..., N, 4) tensor, x in [0, width] and y in [0, height].

    Example:

    >>> [float(v) for v in clip_boxes([[-3.0, 2.0, 50.0, 9.0]], (8, 40))[0]]
    [0.0, 2.0, 40.0, 8.0]
    """
    boxes = in_box_precision(boxes)
    size = ops.cast(ops.convert_to_tensor(size), boxes.dtype)
    height, width = size[..., 0], size[..., 1]
    limits = ops.stack([width, height, width, height], axis=-1)[..., None, :]
    return ops.minimum(ops.maximum(boxes, 0.0), limits)
