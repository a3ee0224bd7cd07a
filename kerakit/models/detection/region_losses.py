"""Losses of regions: their class, and the offsets of their box."""

from keras import ops

from kerakit.models.detection.region_sampling import mean_over_chosen
from kerakit.ops import encode_boxes

# Offsets of boxes over the deviations 0.1 and 0.2 that they have around proposals.
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def region_losses(logits, offsets, sampled, *, beta, sample_weight=None):
    """Cross-entropy of all sampled regions, smooth L1 distance of those with an object.

    Args:
        logits: (B, S, K + 1) of the classes, background first.
        offsets: (B, S, K + 1, 4) of each class's box from the region.
        sampled: Dict of `sample_regions`.
        beta: Of `smooth_l1`.
        sample_weight: (B,) weight of each image, or None.

    Returns:
        Dict of `class_loss` and `box_loss`, scalars: the mean over the images of each one's sum
        over its number of regions.
    """
    labels = sampled["labels"]
    class_losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    offsets = ops.take_along_axis(offsets, labels[..., None, None], axis=2)[:, :, 0]
    wanted = encode_boxes(sampled["boxes"], sampled["regions"], weights=BOX_WEIGHTS)
    wanted = ops.cast(ops.stop_gradient(wanted), offsets.dtype)
    box_losses = ops.sum(smooth_l1(offsets - wanted, beta=beta), axis=-1)
    box_losses = ops.where(sampled["is_positive"], box_losses, 0.0)
    return {
        "class_loss": mean_over_chosen(class_losses, sampled, sample_weight),
        "box_loss": mean_over_chosen(box_losses, sampled, sample_weight),
    }


def smooth_l1(x, *, beta=1 / 9):
    """`x^2 / (2 beta)` for |x| < beta and `|x| - beta / 2` beyond.

    Args:
        x: Tensor of differences.
        beta: Where the square ends, positive.

    Returns:
        Tensor of the same shape.

    Reference:
        Girshick, Fast R-CNN, 2015, Eq. 3, where beta is 1. Deviations: beta as in torchvision.

    Example:

    >>> [round(float(v), 4) for v in smooth_l1(ops.array([0.1, -1.0]))]
    [0.045, 0.9444]
    """
    size = ops.abs(x)
    return ops.where(size < beta, ops.square(x) * (0.5 / beta), size - 0.5 * beta)
