"""Transforms one after the other."""

from kerakit.augment.draws import draw_seeds


def chain(*transforms):
    """One transform that applies several, each with a seed of its own.

    Args:
        transforms: Functions `transform(batch, seed)` of a dict of batch tensors and an int32
            (2,) seed, which give such a dict.

    Returns:
        Such a function.

    Example:

    >>> import tensorflow as tf
    >>> from kerakit.augment import ColorJitter, RandomFlip
    >>> augment = chain(RandomFlip(), ColorJitter(brightness=0.2))
    >>> augment({"image": tf.zeros((2, 8, 8, 3), tf.uint8)}, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 8, 3])
    """

    def chained(batch, seed):
        seeds = draw_seeds(seed, len(transforms))
        for transform, own in zip(transforms, seeds, strict=True):
            batch = transform(batch, own)
        return batch

    return chained
