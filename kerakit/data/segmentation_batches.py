"""Batches of images with a mask of class ids each, for training and for evaluation."""

from kerakit.data.batches import TrainingBatches, prepared_batches


class SegmentationBatches(TrainingBatches):
    """Batches for segmenters without end, each a function of (seed, step) alone.

    Order, resuming and what is kept in memory are those of `TrainingBatches`; a mask is prepared
    and augmented with its image, and never mixed: each pixel has the id of one source pixel.

    Args:
        source: `IndexedSource` or `StreamSource` with masks: load it with task="segmentation".
        preparation: `Preparation` that gives all images one size.
        batch_size: Images a batch, B; at most the size of the source.
        seed: Integer in [0, 2**31).
        augment: None, or a function `augment(batch, seed)` of a dict with `image` uint8
            (B, h, w, c), `mask` uint8 (B, h, w), and an int32 (2,) seed, which gives such a dict.
        heads: None, or the names of a model's outputs, of which each learns the masks.

    Attributes:
        steps_per_epoch: For `fit`.

    Raises:
        InputError: If the source has fewer images than a batch.
        ValueError: If an argument is out of range.
    """

    _label = "mask"

    def __init__(self, source, preparation, *, batch_size, seed, augment=None, heads=None):
        super().__init__(source, preparation, batch_size=batch_size, seed=seed, augment=augment)
        self.heads = heads

    def starting_at(self, step):
        """tf.data of (images uint8 (B, h, w, c), masks uint8 (B, h, w)) from global step `step`.

        Masks hold class ids, and 255 where nothing is to be learnt; with `heads` they are a dict
        with the same masks under each name.
        """
        return super().starting_at(step)

    def _finish(self, batch):
        return batch["image"], _for_heads(batch["mask"], self.heads)


def segmentation_evaluation_batches(source, preparation, *, batch_size, heads=None):
    """Batches of all images once, in order; the last one may be short.

    Args:
        source: `IndexedSource` or `StreamSource` with masks.
        preparation: `Preparation` that gives all images one size.
        batch_size: Images a batch, B.
        heads: As of `SegmentationBatches`.

    Returns:
        tf.data of (images uint8 (B, h, w, c), masks uint8 (B, h, w)), 255 beside the image.

    Raises:
        ValueError: If `batch_size` is not positive.
    """
    batches = prepared_batches(source, preparation, batch_size=batch_size, label="mask")
    return batches.map(lambda images, masks: (images, _for_heads(masks, heads)))


def _for_heads(masks, heads):
    return masks if heads is None else dict.fromkeys(heads, masks)
