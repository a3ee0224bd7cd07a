"""Labels as shares of the classes, and weights against rare classes."""

import numpy as np
import tensorflow as tf

from kerakit.errors import InputError


def class_weights(source, num_classes):
    """Weight of each class, the less its examples the more: `N / (K n_k)`.

    Args:
        source: `IndexedSource` or `StreamSource`, whose labels are counted.
        num_classes: K.

    Returns:
        (K,) float32; its mean over the examples is 1. A class without examples has 0.

    Raises:
        InputError: If the examples have several labels each.
    """
    labels = source.encoded_dataset().map(lambda example: example["label"])
    if labels.element_spec.shape.rank:
        raise InputError(
            "Balanced class weights weigh an example by its one class, and with --multi-label it "
            "may have several or none: leave out --class-weights."
        )
    counts = np.bincount(list(labels.as_numpy_iterator()), minlength=num_classes)
    seen = np.maximum(counts, 1)
    return np.where(counts, counts.sum() / (num_classes * seen), 0.0).astype(np.float32)


def class_shares(labels, num_classes):
    """Labels as the losses take them.

    Args:
        labels: (B,) int classes, or (B, K) float already: shares, or 0 and 1 for each class.
        num_classes: K.

    Returns:
        (B, K) float32.

    Example:

    >>> class_shares(tf.constant([2, 0]), 3).numpy().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return tf.one_hot(labels, num_classes) if labels.shape.rank == 1 else labels


def soft_labels(num_classes, *, weights=None):
    """The last transform of a batch: labels as shares of the classes, and their weights.

    Args:
        num_classes: K.
        weights: (K,) of the classes, or None; adds `weight` (B,) to the batch: that of the
            label, or of a mixed label the mean.

    Returns:
        Function `transform(batch, seed)` of a dict with `label` (B,) or (B, K), which makes it
        float32 (B, K).

    Example:

    >>> batch = {"label": tf.constant([2, 0])}
    >>> batch = soft_labels(3, weights=[1.0, 1.0, 4.0])(batch, None)
    >>> batch["label"].numpy().tolist(), batch["weight"].numpy().tolist()
    ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [4.0, 1.0])
    """

    def transform(batch, seed):
        del seed  # nothing is drawn
        label = class_shares(batch["label"], num_classes)
        if weights is None:
            return {**batch, "label": label}
        weight = tf.linalg.matvec(label, tf.constant(weights, tf.float32))
        return {**batch, "label": label, "weight": weight}

    return transform
