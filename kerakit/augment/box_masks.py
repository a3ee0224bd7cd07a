"""Masks that are kept cropped to their boxes, moved as the boxes are."""

import tensorflow as tf

from kerakit.augment.resampling import sample


def transform_box_masks(masks, matrices, *, boxes, moved):
    """Masks cropped to boxes before a transform, cropped to the boxes after it.

    A cell of a new mask takes the value of the old mask's cell at whose place it was. So a
    change of scale or place leaves a mask as it is and a flip turns it around, without loss; only
    a cut or a turn samples it anew.

    Args:
        masks: (B, N, M, M) of 0 and 1.
        matrices: (B, 3, 3) or, one a box, (B, N, 3, 3) float32, as of `affine_matrices`.
        boxes: (B, N, 4) float32 xyxy before.
        moved: (B, N, 4) float32 xyxy after, cut off at the image's border; a mask whose box has
            no area is 0.

    Returns:
        (B, N, M, M) of the dtype of `masks`.

    Example:

    >>> mask = tf.constant([[[[1, 0], [0, 0]]]], tf.uint8)
    >>> flip = tf.constant([[[-1.0, 0.0, 10.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> before, after = tf.constant([[[1.0, 2.0, 5.0, 6.0]]]), tf.constant([[[5.0, 2.0, 9.0, 6.0]]])
    >>> transform_box_masks(mask, flip, boxes=before, moved=after).numpy().tolist()
    [[[[0, 1], [0, 0]]]]
    """
    side = masks.shape[-1]
    if matrices.shape.rank == 3:
        matrices = matrices[:, None]
    old, new = _corner_and_sides(boxes), _corner_and_sides(moved)
    there = tf.reduce_all((old[1] > 0) & (new[1] > 0), axis=-1)
    # From a cell of the new mask to its pixel, to the pixel it came from, to the old mask's cell.
    back = tf.linalg.inv(matrices)[..., :2, :]
    linear = back[..., :2] * (new[1][..., None, :] / side)
    offset = tf.linalg.matvec(back[..., :2], new[0]) + back[..., 2]
    cells = side / tf.where(there[..., None], old[1], 1.0)
    linear = linear * cells[..., None]
    offset = (offset - old[0]) * cells
    back = tf.concat([linear, offset[..., None]], axis=-1)
    shape = tf.shape(masks)
    moved_masks = _sampled(
        tf.reshape(masks, (-1, side, side)), tf.reshape(back, (-1, 2, 3)), tf.reshape(there, [-1])
    )
    return tf.ensure_shape(tf.reshape(moved_masks, shape), masks.shape)


def _corner_and_sides(boxes):
    return boxes[..., :2], boxes[..., 2:] - boxes[..., :2]


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _sampled(masks, back, there):
    moved = sample(masks[..., None], back, fill=0, interpolation="nearest")[..., 0]
    return tf.where(there[:, None, None], moved, tf.zeros_like(moved))
