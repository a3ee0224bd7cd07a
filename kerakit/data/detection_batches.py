"""Batches of images with padded boxes and masks, for training and for evaluation."""

import tensorflow as tf

from kerakit.data.batches import TrainingBatches, prepared_batches
from kerakit.errors import InputError

_MULTIPLE = 8
_TARGETS = ("boxes", "labels", "crowd", "area", "masks", "geometry", "image_size", "example_id")


class DetectionBatches(TrainingBatches):
    """Batches for detectors without end, each a function of (seed, step) alone.

    Order, resuming and what is kept in memory are those of `TrainingBatches`; the objects of an
    image come out of the source's table. Boxes are in pixels of the prepared image.

    Masks travel cropped to their boxes, as `box_masks` (B, N, 112, 112): a change of scale or
    place leaves them as they are, a flip turns them around, and only a cut or a turn samples them
    anew. Whole masks would be (B, N, h, w), 49 MB for 16 images of 30 objects at 320 x 320
    instead of 6, and a map of one number a pixel cannot hold objects that overlap, as COCO's do.

    Args:
        source: `IndexedSource` or `StreamSource` with objects.
        preparation: `Preparation` that gives all images one size; it must not cut ("crop").
        batch_size: Images a batch, B; at most the size of the source.
        seed: Integer in [0, 2**31).
        augment: None, or a function `augment(batch, seed)` of a dict with `image` uint8
            (B, h, w, c), `boxes`, `labels`, `crowd`, `area`, `box_masks` if the set has masks,
            `image_size`, `example_id`, and an int32 (2,) seed, which gives such a dict.
        max_boxes: Rows of an image, N; those it has no place for are left out. None: the most
            objects in an image of the source, rounded up to a multiple of 8.

    Attributes:
        steps_per_epoch: For `fit`.
        max_boxes: N.

    Raises:
        InputError: If the source has fewer images than a batch.
        ValueError: If an argument is out of range.
    """

    _label = "example_id"

    def __init__(self, source, preparation, *, batch_size, seed, augment=None, max_boxes=None):
        super().__init__(source, preparation, batch_size=batch_size, seed=seed, augment=augment)
        self.max_boxes = _checked_max_boxes(source, preparation, max_boxes)

    def starting_at(self, step):
        """tf.data of (images uint8 (B, h, w, c), targets) from global step `step` on.

        Targets: `boxes` (B, N, 4) float32 xyxy in pixels of the image, `labels` (B, N) int32 with
        -1 for padding, `crowd` (B, N) bool, `area` (B, N) float32 in original pixels, `masks`
        (B, N, 112, 112) uint8 if the set has them, `image_size` (B, 2) int32 of the originals,
        `example_id` (B,) int32.
        """
        return super().starting_at(step)

    def _start(self, batch):
        batch = {
            **batch,
            **targets(self.source, self.preparation, batch["example_id"], max_boxes=self.max_boxes),
        }
        del batch["geometry"]  # a transform moves what it would tell
        if "masks" in batch:
            batch["box_masks"] = batch.pop("masks")
        return batch

    def _finish(self, batch):
        if "box_masks" in batch:
            batch = {**batch, "masks": batch["box_masks"]}
        return batch["image"], {key: batch[key] for key in _TARGETS if key in batch}


def detection_evaluation_batches(
    source, preparation, *, batch_size, max_boxes=None, full_masks=False
):
    """Batches of all images once, in order; the last one may be short.

    Args:
        source: `IndexedSource` or `StreamSource` with objects.
        preparation: `Preparation` that gives all images one size; it must not cut ("crop").
        batch_size: Images a batch, B.
        max_boxes: Rows of an image, N. None: the most objects in an image of the source,
            rounded up to a multiple of 8.
        full_masks: Whether to add the masks in the pixels of the original images, for exact
            scores: `full_masks` (B, N, H, W) uint8, with `source.objects.largest_size`; a smaller
            image lies at the upper left.

    Returns:
        tf.data of (images uint8 (B, h, w, c), targets): the dict of `DetectionBatches` with
        `geometry` (B, 4) float32 too: scale and shift, each (vertical, horizontal), from pixels
        of the original to those of the image.

    Raises:
        InputError: If an image has more than `max_boxes` objects, of which none may be left out
            here.
        ValueError: If an argument is out of range.
    """
    rows = _checked_max_boxes(source, preparation, max_boxes)
    objects = source.objects
    if rows < objects.largest_count:
        raise InputError(
            f"`max_boxes` must be at least {objects.largest_count} here, which is how many objects "
            f"an image has, got {max_boxes}."
        )
    if full_masks and objects.segmentations is None:
        raise InputError("`full_masks` needs masks, and this set was loaded without them.")

    def with_targets(images, ids):
        found = targets(source, preparation, ids, max_boxes=rows)
        if full_masks:
            found["full_masks"] = objects.full_masks(ids, max_boxes=rows, size=objects.largest_size)
        return images, found

    batches = prepared_batches(source, preparation, batch_size=batch_size, label="example_id")
    batches = batches.map(with_targets, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def targets(source, preparation, ids, *, max_boxes):
    """Padded targets of the examples (B,), boxes in pixels of the prepared image."""
    found = source.objects.padded(tf.cast(ids, tf.int64), max_boxes)
    size = tf.gather(tf.constant(source.objects.sizes), ids)
    scale, shift = preparation.geometry(size)
    both = tf.tile(scale[:, None, ::-1], [1, 1, 2]), tf.tile(shift[:, None, ::-1], [1, 1, 2])
    boxes = found["boxes"] * both[0] + both[1]
    return {
        **found,
        "boxes": tf.where(found["labels"][..., None] >= 0, boxes, 0.0),
        "geometry": tf.concat([scale, shift], axis=-1),
        "image_size": size,
        "example_id": ids,
    }


def _checked_max_boxes(source, preparation, max_boxes):
    if getattr(source, "objects", None) is None:
        raise ValueError('`source` must have objects: load it with task="detection".')
    if preparation.fit == "crop":
        raise ValueError(
            "`preparation` must keep the whole image, with `fit` stretch or letterbox, got crop."
        )
    if max_boxes is None:
        return max(1, -(-source.objects.largest_count // _MULTIPLE)) * _MULTIPLE
    if max_boxes < 1:
        raise ValueError(f"`max_boxes` must be at least 1, got {max_boxes}.")
    return max_boxes
