"""Boxes from one way of writing them to another, and the precision they are kept in."""

import keras
from keras import ops

FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")


def in_box_precision(x):
    """The tensor in float32, or in float64 where it is that already.

    In float16 the area of a box of 640 x 640 overflows, and bfloat16 holds 8 digits of a
    coordinate: above 256 it is off by whole pixels.

    Args:
        x: Tensor of boxes, scores or offsets.

    Returns:
        Tensor of the same shape.

    Example:

    >>> keras.backend.standardize_dtype(in_box_precision(ops.ones((2, 4), "float16")).dtype)
    'float32'
    """
    x = ops.convert_to_tensor(x)
    is_double = keras.backend.standardize_dtype(x.dtype) == "float64"
    return x if is_double else ops.cast(x, "float32")


def split_boxes(boxes):
    """The four columns of boxes, each without the last axis, in box precision."""
    boxes = in_box_precision(boxes)
    return tuple(boxes[..., column] for column in range(4))


def convert_boxes(boxes, *, source, target):
    """Boxes in another format, in absolute pixels both.

    Formats: `"xyxy"` (left, top, right, bottom), `"xywh"` (left, top, width, height),
    `"cxcywh"` (centre, width, height) and `"yxyx"` (top, left, bottom, right).
    `keras.utils.bounding_boxes.convert_format` wants dictionaries with labels and image sizes;
    this is the arithmetic alone, of any leading axes.

    Args:
        boxes: (..., 4) tensor in pixels.
        source: Format of `boxes`.
        target: Format of the result.

    Returns:
        (..., 4) tensor, float32 (float64 where `boxes` are).

    Raises:
        ValueError: If a format is not one of the four.

    Example:

    >>> boxes = convert_boxes([[10.0, 20.0, 30.0, 60.0]], source="xyxy", target="cxcywh")
    >>> [float(v) for v in boxes[0]]
    [20.0, 40.0, 20.0, 40.0]
    """
    for name, value in (("source", source), ("target", target)):
        if value not in FORMATS:
            raise ValueError(f"`{name}` must be one of {', '.join(FORMATS)}, got {value!r}.")
    if source == target:
        return in_box_precision(boxes)
    a, b, c, d = split_boxes(boxes)
    if source == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif source == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    elif source == "yxyx":
        a, b, c, d = b, a, d, c
    if target == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif target == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    elif target == "yxyx":
        a, b, c, d = b, a, d, c
    return ops.stack([a, b, c, d], axis=-1)
