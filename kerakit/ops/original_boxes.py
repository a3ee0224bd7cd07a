"""Boxes from the pixels of a prepared image back to those of the original one."""

from keras import ops

from kerakit.ops.box_formats import in_box_precision


def original_boxes(boxes, geometry, *, image_size=None):
    """Undoes the scale and shift of an image's preparation on boxes.

    Args:
        boxes: (B, N, 4) xyxy in pixels of the prepared image.
        geometry: (B, 4) scale and shift, each (vertical, horizontal), of `x = X * scale + shift`
            for a point X of the original, as of `kerakit.data.Preparation.geometry`.
        image_size: (B, 2) height and width of the originals, to which boxes are cut off; or None.

    Returns:
        (B, N, 4) xyxy in pixels of the original image.

    Example:

    >>> geometry = ops.array([[0.5, 0.5, 10.0, 0.0]])  # 40 x 80 into 40 x 40, bars of 10 rows
    >>> size = ops.array([[40, 80]])
    >>> boxes = original_boxes([[[1.0, 12.0, 30.0, 35.0]]], geometry, image_size=size)
    >>> [float(v) for v in boxes[0, 0]]
    [2.0, 4.0, 60.0, 40.0]
    """
    boxes = in_box_precision(boxes)
    geometry = ops.cast(geometry, boxes.dtype)[:, None, :]
    scale, shift = geometry[..., 1::-1], geometry[..., :1:-1]
    boxes = boxes - ops.concatenate([shift, shift], axis=-1)
    boxes = boxes / ops.concatenate([scale, scale], axis=-1)
    if image_size is None:
        return boxes
    corner = ops.cast(image_size, boxes.dtype)[:, None, ::-1]
    return ops.clip(boxes, 0.0, ops.concatenate([corner, corner], axis=-1))
