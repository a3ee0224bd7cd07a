"""Labels as shares of the classes, and weights against rare classes."""

import numpy as np
import tensorflow as tf


def class_weights(source, num_classes):
    """Weight of each class, the less its examples the more: `N / (K n_k)`.

    Args:
        source: `IndexedSource` or `StreamSource`, whose labels are counted.
        num_classes: K.

    Returns:
        (K,) float32; its mean over the examples is 1. A class without examples has 0.
    """
    labels = source.encoded_dataset().map(lambda example: example["label"])
    counts = np.bincount(list(labels.as_numpy_iterator()), minlength=num_classes)
    seen = np.maximum(counts, 1)
    return np.where(counts, counts.sum() / (num_classes * seen), 0.0).astype(np.float32)


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
        label = batch["label"]
        if label.shape.rank == 1:
            label = tf.one_hot(label, num_classes)
        if weights is None:
            return {**batch, "label": label}
        weight = tf.linalg.matvec(label, tf.constant(weights, tf.float32))
        return {**batch, "label": label, "weight": weight}

    return transform
