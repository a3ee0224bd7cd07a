"""Everything in a batch that has a place in the picture, moved together."""

import tensorflow as tf

from kerakit.augment.box_masks import transform_box_masks
from kerakit.augment.boxes import clip_boxes, transform_boxes
from kerakit.augment.frames import on_frames, on_pictures, picture_size
from kerakit.augment.resampling import transform_images

# Ids of a semantic mask that mean "no class": what comes from outside the image.
IGNORE = 255


def transform_batch(batch, matrices, *, min_visible, move_images, move_masks=None, size=None):
    """Moves pictures, boxes and masks of a batch by the same matrices.

    Args:
        batch: Dict with `image` or `video`, and any of `boxes` (B, N, 4) with `labels` (B, N),
            `box_masks` (B, N, M, M), cropped to them; `masks` (B, N, h, w) of single objects
            and `mask` (B, h, w) of class ids. Other keys stay as they are.
        matrices: (B, 3, 3) float32, as of `affine_matrices`.
        min_visible: Boxes of which a smaller share of the area stays in the image are dropped,
            as in `clip_boxes`.
        move_images: `function(frames, example)` as of `on_frames`, which moves the pictures.
        move_masks: `function(frames, example, fill)`, which moves masks without mixing their
            values; by default the nearest pixel by `matrices`.
        size: (height, width) of the results; None keeps that of the pictures.

    Returns:
        The dict, moved. From outside the image comes 0 in `masks` and 255, ignore, in `mask`.

    Example:

    >>> batch = {"image": tf.zeros((1, 4, 4, 3), tf.uint8), "boxes": tf.ones((1, 2, 4)),
    ...          "labels": tf.fill((1, 2), -1)}
    >>> moved = transform_batch(batch, tf.eye(3)[None], min_visible=0.1,
    ...                         move_images=lambda frames, example: frames)
    >>> moved["boxes"].shape
    TensorShape([1, 2, 4])
    """

    def to_nearest(frames, example, fill):
        own = tf.gather(matrices, example)
        return transform_images(frames, own, fill=fill, size=size, interpolation="nearest")

    move_masks = move_masks or to_nearest
    moved = on_pictures(move_images, batch)
    for key, fill in (("masks", 0), ("mask", IGNORE)):
        if key in batch:
            planes = on_frames(
                lambda frames, example, fill=fill: move_masks(frames, example, fill),
                batch[key][..., None],
            )
            moved[key] = planes[..., 0]
    if "boxes" in batch:
        boxes = transform_boxes(batch["boxes"], matrices)
        window = picture_size(batch)[1] if size is None else size
        moved["boxes"], moved["labels"] = clip_boxes(
            boxes, batch["labels"], size=window, min_visible=min_visible
        )
    if "box_masks" in batch:
        moved["box_masks"] = transform_box_masks(
            batch["box_masks"], matrices, boxes=batch["boxes"], moved=moved["boxes"]
        )
    return moved
