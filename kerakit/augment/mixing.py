"""What Mixup and CutMix share: each example's partner, and labels that are shares."""

import tensorflow as tf

from kerakit.augment.arguments import check_share
from kerakit.augment.frames import picture_key


def partners(tensor):
    """For each example of a batch another one: the one before, and for the first the last.

    The order of a batch is random already, so that the partner is too.

    Args:
        tensor: (B, ...).

    Returns:
        (B, ...).

    Example:

    >>> partners(tf.constant([1, 2, 3])).numpy().tolist()
    [3, 1, 2]
    """
    return tf.roll(tensor, 1, axis=0)


def mixed_labels(labels, share, *, num_classes):
    """Labels as shares of the classes: `share` of the own one, the rest of the partner's.

    Args:
        labels: (B,) int classes, or (B, K) float: shares of an earlier mixture, or 0 and 1 for
            each class where an example may have several.
        share: (B,) float32 in [0, 1].
        num_classes: K.

    Returns:
        (B, K) float32; each row sums to 1 if each example has one label.

    Example:

    >>> shares = tf.constant([0.75, 0.5])
    >>> mixed_labels(tf.constant([0, 2]), shares, num_classes=3).numpy().tolist()
    [[0.75, 0.0, 0.25], [0.5, 0.0, 0.5]]
    """
    if labels.shape.rank == 1:
        labels = tf.one_hot(labels, num_classes)
    share = share[:, None]
    return share * labels + (1.0 - share) * partners(labels)


def check_mixing(num_classes, *, alpha, probability):
    """Raises a ValueError unless these can be the settings of a transform that mixes.

    Args:
        num_classes: K, at least 2.
        alpha: Of the Beta distribution, above 0.
        probability: Of mixing an example, in [0, 1].

    Raises:
        ValueError: If one of them is out of its range.

    Example:

    >>> check_mixing(10, alpha=0.0, probability=1.0)
    Traceback (most recent call last):
    ValueError: `alpha` must be above 0, got 0.0.
    """
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2, got {num_classes}.")
    if alpha <= 0:
        raise ValueError(f"`alpha` must be above 0, got {alpha}.")
    check_share("probability", probability)


def check_mixable(batch, transform):
    """Raises a ValueError unless the batch is one of pictures with labels of their own.

    Args:
        batch: Dict of tensors.
        transform: Name of the transform that wants to mix.

    Raises:
        ValueError: If `label` is missing, or there are boxes or masks.

    Example:

    >>> check_mixable({"image": tf.zeros((1, 2, 2, 3)), "mask": tf.zeros((1, 2, 2))}, "Mixup")
    Traceback (most recent call last):
    ValueError: Mixup needs pictures with one `label` each, got a batch of ['image', 'mask'].
    """
    picture_key(batch)
    if "label" not in batch or {"boxes", "masks", "mask"} & set(batch):
        raise ValueError(
            f"{transform} needs pictures with one `label` each, got a batch of {sorted(batch)}."
        )
