"""Labels that change with a picture: a mirrored "left" is a "right"."""

import tensorflow as tf


def checked_pairs(name, pairs):
    """Pairs of class numbers as a tuple of tuples.

    Args:
        name: The argument's name, for the message.
        pairs: Its value.

    Raises:
        ValueError: If they are not pairs of different numbers from 0, each class once.

    Example:

    >>> checked_pairs("swaps", [[0, 1]])
    ((0, 1),)
    """
    pairs = tuple(tuple(pair) for pair in pairs)
    numbers = [number for pair in pairs for number in pair]
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not whole or len(set(numbers)) != 2 * len(pairs) or any(len(p) != 2 for p in pairs):
        raise ValueError(
            f"`{name}` must be pairs of class numbers, each class once at most, got {pairs}."
        )
    return pairs


def swap_labels(batch, pairs, chosen):
    """Exchanges the classes of each pair in some of the examples.

    Args:
        batch: Dict with `label`, int (B,) or shares of the classes (B, K); without it and without
            pairs nothing changes.
        pairs: As of `checked_pairs`.
        chosen: (B,) bool.

    Returns:
        The dict.

    Raises:
        ValueError: If there are pairs and no labels.

    Example:

    >>> batch = {"label": tf.constant([0, 0, 2])}
    >>> swap_labels(batch, ((0, 1),), tf.constant([True, False, True]))["label"].numpy().tolist()
    [1, 0, 2]
    """
    if not pairs:
        return batch
    if "label" not in batch:
        raise ValueError("The batch must have `label` where classes are to be swapped.")
    label = batch["label"]
    if label.shape.rank == 1:
        swapped = label
        for one, other in pairs:
            swapped = tf.where(label == one, tf.cast(other, label.dtype), swapped)
            swapped = tf.where(label == other, tf.cast(one, label.dtype), swapped)
        return {**batch, "label": tf.where(chosen, swapped, label)}
    order = list(range(label.shape[-1]))
    for one, other in pairs:
        order[one], order[other] = other, one
    swapped = tf.gather(label, order, axis=-1)
    return {**batch, "label": tf.where(chosen[:, None], swapped, label)}
