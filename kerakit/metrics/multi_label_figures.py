"""Figures of answers that name any number of classes an image."""

import numpy as np


def average_precision(labels, scores):
    """Average precision of each class, exact: the area under its steps of precision over recall.

    With the examples ranked by score, `AP = sum over positives of precision at their rank / P`;
    examples of one score share the rank of the last of them. `keras.metrics.AUC(curve="PR")`
    looks at 200 thresholds between 0 and 1 only: of 1,000 scores that all lie between 0.99 and
    1 it tells hardly any apart.

    Args:
        labels: (N, K), 1 where the example has the class, else 0.
        scores: (N, K) numbers of any scale, the higher the surer.

    Returns:
        (K,) float64 in (0, 1]; NaN for a class that no example has.

    Reference:
        Zhu, Recall, Precision and Average Precision, 2004. Deviations: none; it is
        scikit-learn's `average_precision_score`, except where there are no positives (0 there).

    Example:

    >>> labels, scores = [[1, 0], [0, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.1], [0.3, 0.4]]
    >>> [round(float(value), 4) for value in average_precision(labels, scores)]  # (1 + 2/3) / 2
    [0.8333, 1.0]
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    order = np.argsort(-scores, axis=0)
    ranked, hits = np.take_along_axis(scores, order, 0), np.take_along_axis(labels, order, 0)
    ranks = np.arange(len(labels))[:, None]
    precision = np.cumsum(hits, axis=0) / (ranks + 1)
    # The last rank with the same score: a threshold takes all of them or none.
    ends = np.ones_like(hits)
    ends[:-1] = ranked[1:] != ranked[:-1]
    last = np.minimum.accumulate(np.where(ends, ranks, len(labels))[::-1], axis=0)[::-1]
    total = np.sum(hits * np.take_along_axis(precision, last, 0), axis=0)
    positives = np.sum(hits, axis=0)
    return np.where(positives, total / np.maximum(positives, 1), np.nan)


def multi_label_figures(labels, scores, present):
    """How good answers are that name any number of classes an image.

    Precision, recall and F1 are those of a class; 0 / 0 counts as 0.

    Args:
        labels: (N, K), 1 where the image has the class, else 0.
        scores: (N, K) numbers by which the images are ranked, such as logits.
        present: (N, K) bool, the classes that the answer names.

    Returns:
        Two dicts. The first, of floats: `mean_average_precision`, over the classes that some
        image has; `precision_macro`, `recall_macro` and `f1_macro`, the means over all classes;
        `f1_micro`, of all decisions pooled; and `exact_match`, the share of the images with all
        classes right. The second, of (K,) arrays: `images`, `average_precision`, `precision`,
        `recall` and `f1` of each class.

    Example:

    >>> figures, by_class = multi_label_figures(
    ...     [[1, 0], [1, 1]], [[2.0, -1.0], [3.0, -2.0]], [[True, False], [True, False]]
    ... )
    >>> figures["mean_average_precision"], figures["exact_match"], by_class["recall"].tolist()
    (0.75, 0.5, [1.0, 0.0])
    """
    labels, present = np.asarray(labels, bool), np.asarray(present, bool)
    right = np.sum(labels & present, axis=0)
    actual, named = np.sum(labels, axis=0), np.sum(present, axis=0)
    by_class = {
        "images": actual,
        "average_precision": average_precision(labels, scores),
        "precision": right / np.maximum(named, 1),
        "recall": right / np.maximum(actual, 1),
        "f1": 2 * right / np.maximum(named + actual, 1),
    }
    figures = {
        "mean_average_precision": np.mean(by_class["average_precision"][actual > 0]),
        **{f"{name}_macro": np.mean(by_class[name]) for name in ("precision", "recall", "f1")},
        "f1_micro": 2 * np.sum(right) / max(np.sum(named) + np.sum(actual), 1),
        "exact_match": np.mean(np.all(labels == present, axis=1)),
    }
    return {name: float(value) for name, value in figures.items()}, by_class
