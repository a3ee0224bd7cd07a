"""Batches of images with proposed regions, for detectors that are given them."""

import numpy as np
import tensorflow as tf

from kerakit.data.detection_batches import DetectionBatches, detection_evaluation_batches


class ProposalBatches(DetectionBatches):
    """Batches of `DetectionBatches` in which each image comes with regions.

    Regions move with the image, as boxes do. A transform that takes rows of several images
    together, such as `kerakit.augment.Mosaic`, would mix them up with the objects: use others.

    Args:
        source: As of `DetectionBatches`.
        preparation: As of `DetectionBatches`.
        proposals: (S, R, 4) float32 xyxy in pixels of the original images, by the number of the
            image; rows of zeros are padding.
        **options: As of `DetectionBatches`.

    Raises:
        ValueError: If there are not as many rows of proposals as images.
    """

    def __init__(self, source, preparation, *, proposals, **options):
        super().__init__(source, preparation, **options)
        self.proposals = _checked(proposals, source)

    def starting_at(self, step):
        """tf.data of ({"images", "proposals"}, targets), as `DetectionBatches.starting_at`.

        `proposals` (B, R, 4) float32 xyxy are in pixels of the image; rows of zeros are padding.
        """
        return super().starting_at(step)

    def _start(self, batch):
        batch = super()._start(batch)
        batch.pop("box_masks", None)
        regions = _moved(self.proposals, batch["example_id"], batch["image_size"], self.preparation)
        there = tf.reduce_any(regions > 0, axis=-1)
        nothing = tf.zeros_like(there)
        joined = {
            "boxes": regions,
            "labels": tf.where(there, 0, -1),
            "crowd": nothing,
            "area": tf.cast(nothing, tf.float32),
        }
        return batch | {key: tf.concat([batch[key], joined[key]], axis=1) for key in joined}

    def _finish(self, batch):
        rows = self.max_boxes
        kept = batch["labels"][:, rows:, None] >= 0
        proposals = tf.where(kept, batch["boxes"][:, rows:], 0.0)
        batch = batch | {key: batch[key][:, :rows] for key in ("boxes", "labels", "crowd", "area")}
        images, targets = super()._finish(batch)
        return {"images": images, "proposals": proposals}, targets


def proposal_evaluation_batches(source, preparation, *, proposals, batch_size):
    """Batches of all images once, in order, each with regions.

    Args:
        source: As of `detection_evaluation_batches`.
        preparation: As of `detection_evaluation_batches`.
        proposals: As of `ProposalBatches`.
        batch_size: Images a batch, B.

    Returns:
        tf.data of ({"images", "proposals"}, targets).

    Raises:
        ValueError: If there are not as many rows of proposals as images.
    """
    proposals = _checked(proposals, source)
    batches = detection_evaluation_batches(source, preparation, batch_size=batch_size)

    def with_regions(images, found):
        regions = _moved(proposals, found["example_id"], found["image_size"], preparation)
        return {"images": images, "proposals": regions}, found

    return batches.map(with_regions, num_parallel_calls=tf.data.AUTOTUNE)


def _checked(proposals, source):
    proposals = np.asarray(proposals, np.float32)
    if proposals.ndim != 3 or proposals.shape[0] != source.size or proposals.shape[2] != 4:
        raise ValueError(
            f"`proposals` must be ({source.size}, R, 4), a row an image, got {proposals.shape}."
        )
    return tf.constant(proposals)


def _moved(proposals, ids, sizes, preparation):
    """Regions of the images in pixels of the prepared ones, padding left 0."""
    regions = tf.gather(proposals, ids)
    scale, shift = preparation.geometry(sizes)
    scale, shift = (tf.tile(part[:, None, ::-1], [1, 1, 2]) for part in (scale, shift))
    there = tf.reduce_any(regions > 0, axis=-1, keepdims=True)
    return tf.where(there, regions * scale + shift, 0.0)
