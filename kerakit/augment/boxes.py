"""Boxes moved by the matrices that move the pixels."""

import tensorflow as tf


def transform_boxes(boxes, matrices):
    """The smallest upright boxes around the moved corners of boxes.

    Exact for flips, shifts and changes of scale. Around a turned box it is exact for the box,
    and loose for what stands in it: `tighten_boxes` takes the bounds of the masks instead.

    Args:
        boxes: (B, N, 4) xyxy in pixels.
        matrices: (B, 3, 3) float32, as of `affine_matrices`.

    Returns:
        (B, N, 4) float32; parts may lie outside the image.

    Example:

    >>> quarter_turn = tf.constant([[[0.0, -1.0, 10.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> transform_boxes(tf.constant([[[1.0, 2.0, 5.0, 3.0]]]), quarter_turn).numpy().tolist()
    [[[7.0, 1.0, 8.0, 5.0]]]
    """
    boxes = tf.cast(boxes, tf.float32)
    x = tf.gather(boxes, [0, 2, 2, 0], axis=-1)
    y = tf.gather(boxes, [1, 1, 3, 3], axis=-1)
    a, b, c, d, e, f = tf.unstack(tf.reshape(matrices[:, :2], (-1, 6, 1, 1)), axis=1)
    across, down = a * x + b * y + c, d * x + e * y + f
    bounds = (tf.reduce_min, across), (tf.reduce_min, down), (tf.reduce_max, across)
    bounds += ((tf.reduce_max, down),)
    return tf.stack([bound(corners, axis=-1) for bound, corners in bounds], axis=-1)


def clip_boxes(boxes, labels, *, size, min_visible):
    """Boxes cut off at the image's border; those of which too little is left are dropped.

    Args:
        boxes: (B, N, 4) float32 xyxy in pixels.
        labels: (B, N) int, -1 for padding.
        size: (height, width) of the image, or (B, 2) of each.
        min_visible: Least share of a box's area that must lie in the image, in [0, 1]. A box
            of which nothing does is dropped in any case.

    Returns:
        Boxes and labels. Dropped rows get label -1 and the box (0, 0, 0, 0), as have the rows
        that were padding.

    Example:

    >>> boxes = tf.constant([[[-4.0, 0.0, 6.0, 5.0], [-9.0, 0.0, 1.0, 5.0]]])
    >>> boxes, labels = clip_boxes(boxes, tf.constant([[7, 8]]), size=(20, 30), min_visible=0.2)
    >>> boxes.numpy().tolist(), labels.numpy().tolist()
    ([[[0.0, 0.0, 6.0, 5.0], [0.0, 0.0, 0.0, 0.0]]], [[7, -1]])
    """
    size = tf.reshape(tf.cast(size, tf.float32), (-1, 1, 2))
    clipped = tf.clip_by_value(boxes, 0.0, tf.tile(tf.reverse(size, axis=[-1]), [1, 1, 2]))
    visible = _area(clipped)
    kept = (labels >= 0) & (visible > 0) & (visible >= min_visible * _area(boxes))
    return (
        tf.where(kept[..., None], clipped, 0.0),
        tf.where(kept, labels, -tf.ones_like(labels)),
    )


def tighten_boxes(batch, seed):
    """Takes the boxes from the masks: the bounds of the pixels that are not 0.

    To be chained after a transform that turns, whose boxes are those around turned boxes:
    around a turned disc of diameter 100 its box is 100 wide, the box around its turned box up to
    141. A row without a pixel left is dropped.

    Args:
        batch: Dict with `masks` (B, N, h, w), `boxes` (B, N, 4) and `labels` (B, N).
        seed: Not used; here so that this is a transform among others.

    Returns:
        The dict, its `boxes` and `labels` replaced.

    Example:

    >>> masks = tf.pad(tf.ones((1, 1, 2, 3), tf.uint8), [[0, 0], [0, 0], [4, 0], [5, 0]])
    >>> batch = {"masks": masks, "boxes": tf.zeros((1, 1, 4)), "labels": tf.constant([[3]])}
    >>> tighten_boxes(batch, None)["boxes"].numpy().tolist()
    [[[5.0, 4.0, 8.0, 6.0]]]
    """
    del seed
    filled = batch["masks"] > 0
    left, right = _bounds(tf.reduce_any(filled, axis=2))
    top, bottom = _bounds(tf.reduce_any(filled, axis=3))
    kept = (batch["labels"] >= 0) & (right > left)
    boxes = tf.stack([left, top, right, bottom], axis=-1)
    return {
        **batch,
        "boxes": tf.where(kept[..., None], boxes, 0.0),
        "labels": tf.where(kept, batch["labels"], -tf.ones_like(batch["labels"])),
    }


def _area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _bounds(filled):
    """First place and one past the last along the last axis; the last is 0 where there is none."""
    places = tf.range(tf.shape(filled)[-1], dtype=tf.float32)
    first = tf.reduce_min(tf.where(filled, places, float("inf")), axis=-1)
    return first, tf.reduce_max(tf.where(filled, places + 1, 0.0), axis=-1)
