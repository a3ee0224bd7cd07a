"""Mean average precision of several labels an image, while a model learns."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class MultiLabelAveragePrecision(keras.metrics.Metric):
    """Mean over the classes of the average precision, from counts of logits in narrow bins.

    `keras.metrics.AUC(curve="PR", multi_label=True)` has 200 thresholds, even between the
    probabilities 0 and 1, where those of a rare class are all alike: for 1,000 scores about a
    logit of -8 it gives 0.52 where 0.85 is right. Other thresholds it takes with
    `multi_label=True` outside of a graph only, so not in `fit` (Keras 3.15). Here the bins are
    even in the logit, 1/32 wide by default, and each is a threshold:
    `AP_k = sum over bins b of p_kb P_kb / sum_b p_kb`, with p_kb the positives of class k in
    bin b, and P_kb the share of positives among all examples in bins from b up. It is the exact
    average precision of logits rounded to a bin; of the logits themselves
    `kerakit.metrics.multi_label_figures.average_precision`, which needs them all at once, is.

    A class that no example has is left out of the mean; if that is all of them, it is 0. Labels
    between 0 and 1, as of mixed images, count in part as positive and in part as negative.

    Args:
        num_classes: K.
        bins: Bins a class, at least 2.
        limit: Logits beyond -limit and limit count in the outermost bins; above 0.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the counts are float32 whatever it is.

    Raises:
        ValueError: If an argument is out of range, or, in `update_state`, a shape does not fit.

    Reference:
        Zhu, Recall, Precision and Average Precision, 2004. Deviations: the rounding to bins.

    Example:

    >>> import numpy as np
    >>> metric = MultiLabelAveragePrecision(2)
    >>> labels = np.array([[1, 0], [0, 0], [1, 1]])
    >>> metric.update_state(labels, np.array([[3.0, -1.0], [2.0, -3.0], [1.0, 0.0]]))
    >>> round(float(metric.result()), 4)  # of (1 + 2/3) / 2 and 1
    0.9167
    """

    def __init__(
        self, num_classes, *, bins=1024, limit=16.0, name="mean_average_precision", dtype=None
    ):
        if num_classes < 1:
            raise ValueError(f"`num_classes` must be at least 1, got {num_classes}.")
        if bins < 2:
            raise ValueError(f"`bins` must be at least 2, got {bins}.")
        if limit <= 0:
            raise ValueError(f"`limit` must be above 0, got {limit}.")
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.bins = bins
        self.limit = limit
        # Positives and all: their difference, the negatives, would round.
        self.counts = self.add_variable(
            (2, num_classes, bins), "zeros", dtype="float32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: (B, K) labels from 0 to 1.
            y_pred: (B, K) logits.
            sample_weight: (B,) weights of the examples, or None.
        """
        labels, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        for name, values in (("y_true", labels), ("y_pred", logits)):
            if len(values.shape) != 2 or values.shape[1] != self.num_classes:
                raise ValueError(
                    f"`{name}` must have the shape (B, {self.num_classes}), got "
                    f"{tuple(values.shape)}."
                )
        weights = ops.ones_like(labels)
        if sample_weight is not None:
            weights *= ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        place = (logits + self.limit) * (self.bins / (2.0 * self.limit))
        place = ops.cast(ops.clip(place, 0.0, self.bins - 1.0), "int32")
        # Again: what is not a number becomes any whole one.
        place = ops.clip(place, 0, self.bins - 1)
        cell = ops.reshape(place + self.bins * ops.arange(self.num_classes, dtype="int32"), (-1,))
        added = [
            ops.segment_sum(ops.reshape(x, (-1,)), cell, num_segments=self.num_classes * self.bins)
            for x in (labels * weights, weights)
        ]
        self.counts.assign(self.counts + ops.reshape(ops.stack(added), self.counts.shape))

    def merge_state(self, metrics):
        """Adds the counts of other metrics, such as those of other processes.

        Args:
            metrics: Other metrics of this kind, of as many classes and bins.
        """
        for metric in metrics:
            self.counts.assign(self.counts + metric.counts)

    def result(self):
        """The mean average precision, a float32 scalar."""
        counts = ops.flip(self.counts, axis=2)
        positives = counts[0]
        above = ops.cumsum(counts, axis=2)
        precision = above[0] / ops.where(above[1] == 0, 1.0, above[1])
        total = ops.sum(positives, axis=1)
        area = ops.sum(positives * precision, axis=1) / ops.where(total == 0, 1.0, total)
        seen = ops.cast(total > 0, "float32")
        return ops.sum(area * seen) / ops.maximum(ops.sum(seen), 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "bins": self.bins,
            "limit": self.limit,
        }
