"""Confusion matrix, and the figures that come from it."""

import keras
from keras import ops

from kerakit.metrics.confusion_picture import confusion_picture

# float32 counts one by one only up to 2^24, and JAX has no float64 by default. So a count
# is kept as two float32 numbers: blocks of 4096, and the rest.
BLOCK = 4096.0


def _carry(state):
    """Moves whole blocks from the rest (state[1]) to the blocks (state[0]); exact."""
    blocks = ops.floor(state[1] / BLOCK)
    return ops.stack([state[0] + blocks, state[1] - blocks * BLOCK])


def confusion_counts(labels, predicted, weights, *, num_classes):
    """Weight of each pair of a true and a predicted class, as blocks of 4096 and a rest.

    A scatter, not a product of one-hot matrices: 2 million pixels of 21 classes take 11 ms
    in a TensorFlow graph, the product 163 ms (two cores) and 350 MB of one-hot rows.

    Args:
        labels: (N,) integer true classes. Pairs with a class outside [0, K) are left out.
        predicted: (N,) integer predicted classes.
        weights: (N,) float32 weight of each pair.
        num_classes: K.

    Returns:
        (2, K, K) float32; `4096 * blocks + rest` is the weight, rows true, columns predicted.
    """
    # One long float32 sum drifts: 2 million weights of 0.1 on one cell come out 1.7 % low.
    # Each cell is therefore summed in stripes, which is quicker on a CPU too.
    stripes = max(1, min(256, 2**20 // num_classes**2))
    inside = (labels >= 0) & (labels < num_classes) & (predicted >= 0) & (predicted < num_classes)
    cell = ops.where(inside, labels * num_classes + predicted, 0)
    stripe = ops.arange(ops.shape(cell)[0], dtype="int32") % stripes
    sums = ops.segment_sum(
        ops.where(inside, weights, 0.0),
        stripe * num_classes**2 + cell,
        num_segments=stripes * num_classes**2,
    )
    sums = ops.reshape(sums, (stripes, num_classes, num_classes))
    return _carry(ops.sum(_carry(ops.stack([ops.zeros_like(sums), sums])), axis=1))


def _ratio(part, whole):
    """part / whole, and 0 where the whole is 0."""
    return ops.where(whole == 0, 0.0, part / ops.where(whole == 0, 1.0, whole))


@keras.saving.register_keras_serializable(package="kerakit")
class ConfusionMatrix(keras.metrics.Metric):
    """Counts of true against predicted classes; accuracy, precision, recall and F1 from them.

    Keras has accuracy, and precision and recall of one class at a time, but no macro average
    from one state: a mean of per-batch figures is another number. Here one state, a sum over
    examples, gives all of them: with C[t, p] the weight of examples of class t predicted as p,
    `precision_k = C[k, k] / sum_t C[t, k]`, `recall_k = C[k, k] / sum_p C[k, p]`,
    `F1_k = 2 precision_k recall_k / (precision_k + recall_k)`,
    `accuracy = sum_k C[k, k] / sum C`. A 0 / 0 counts as 0.

    - Macro: the plain mean over all K classes, also those never seen. It is scikit-learn's
      `precision_recall_fscore_support(labels=range(K), average="macro", zero_division=0)`.
    - Micro: all decisions pooled. As each example has one label and one prediction, micro
      precision, recall and F1 all equal the accuracy; `averages=("macro",)` leaves them out.

    In the logs of `fit` the names stand without the metric's name: `f1_macro`,
    `val_f1_macro`. Two of these in one `compile` need a `prefix`, or the second overwrites
    the first. Under `compile(metrics=[...])` Keras ignores sample weights: use
    `compile(weighted_metrics=[...])` where padding rows have weight 0.

    Left out of every count: pairs whose label or predicted class is not in [0, K), as with
    scikit-learn's `confusion_matrix(labels=range(K))`. So -1 (padding) and 255 (the mask
    value for "ignore", with at most 255 classes) need no option. A one-hot row of zeros is
    left out too.

    Whole weights are counted exactly up to 2^36 (6.9e10) a cell, where a float32 count stands
    still at 2^24. With fractional weights each update rounds by at most 2^-13 a cell, beside
    the float32 sum of the update itself (2 million weights of 0.1: within 2e-4 of it).

    Args:
        num_classes: K, at least 2.
        classes: Names of the classes, used in the keys of `per_class` and in `plot`; their
            numbers by default.
        from_scores: Whether predictions are scores, probabilities or logits (..., K), of which
            the largest is the prediction; else they are class ids.
        averages: Which averages stand in the result: any of `"macro"` and `"micro"`.
        per_class: Whether each class stands in the result too, as `"recall/cat"`: 3 K keys.
        prefix: Put before every key of the result.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the counts are float32 pairs whatever it is.

    Raises:
        ValueError: If an argument is not as above.

    Reference:
        Sokolova and Lapalme, A systematic analysis of performance measures for classification
        tasks, 2009, Table 3. Deviations: the macro F1 is the mean of the classes' F1, not
        F1 of the mean precision and recall.

    Example:

    >>> import numpy as np
    >>> metric = ConfusionMatrix(2, classes=["cat", "dog"], averages=["macro"], per_class=True)
    >>> metric.update_state(np.array([0, 0, 0, 1]), np.array([[9, 1], [2, 1], [0, 1], [3, 4]]))
    >>> metric.matrix().tolist()
    [[2.0, 1.0], [0.0, 1.0]]
    >>> result = metric.result()
    >>> [round(float(result[key]), 3) for key in ("accuracy", "recall_macro", "precision/dog")]
    [0.75, 0.833, 0.5]
    """

    def __init__(
        self,
        num_classes,
        *,
        classes=None,
        from_scores=True,
        averages=("macro", "micro"),
        per_class=False,
        prefix="",
        name="confusion_matrix",
        dtype=None,
    ):
        if num_classes < 2:
            raise ValueError(f"`num_classes` must be at least 2, got {num_classes}.")
        if classes is not None and (
            len(classes) != num_classes or len(set(classes)) != num_classes
        ):
            raise ValueError(f"`classes` must be {num_classes} different names, got {classes}.")
        if isinstance(averages, str) or not set(averages) <= {"macro", "micro"}:
            raise ValueError(f"`averages` must be a list of 'macro' and 'micro', got {averages!r}.")
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.classes = None if classes is None else tuple(classes)
        self.from_scores = from_scores
        self.averages = tuple(averages)
        self.per_class = per_class
        self.prefix = prefix
        self.counts = self.add_variable(
            (2, num_classes, num_classes), "zeros", dtype="float32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: Labels, of the shape of the predicted classes: (B,), or (B, H, W) for maps;
                a last axis of size 1 may follow; or one-hot with a last axis of size K.
            y_pred: (..., K) scores, or (...) class ids with `from_scores=False`.
            sample_weight: Weights that fit the labels: (B,) also for maps, or their shape.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if self.from_scores:
            if y_pred.shape[-1] != self.num_classes:
                raise ValueError(
                    f"`y_pred` must be scores with a last axis of {self.num_classes} (or class "
                    f"ids, with from_scores=False), got shape {tuple(y_pred.shape)}."
                )
            predicted = ops.argmax(y_pred, axis=-1)
        else:
            predicted = y_pred
        rank = len(predicted.shape)
        if len(y_true.shape) == rank + 1 and y_true.shape[-1] == self.num_classes:
            labels = ops.where(ops.any(y_true != 0, axis=-1), ops.argmax(y_true, axis=-1), -1)
        elif len(y_true.shape) == rank + 1 and y_true.shape[-1] == 1:
            labels = ops.squeeze(y_true, axis=-1)
        else:
            labels = y_true
        if not _may_be_equal(labels.shape, predicted.shape):
            raise ValueError(
                f"`y_true` must fit the predicted classes {tuple(predicted.shape)}, or be one-hot "
                f"over {self.num_classes} classes, got shape {tuple(y_true.shape)}."
            )
        added = confusion_counts(
            ops.reshape(ops.cast(labels, "int32"), (-1,)),
            ops.reshape(ops.cast(predicted, "int32"), (-1,)),
            ops.reshape(_weights(sample_weight, labels), (-1,)),
            num_classes=self.num_classes,
        )
        self.counts.assign(_carry(self.counts + added))

    def merge_state(self, metrics):
        """Adds the counts of other confusion matrices, such as those of other processes.

        Args:
            metrics: Other `ConfusionMatrix` objects, of as many classes.
        """
        for metric in metrics:
            if metric.num_classes != self.num_classes:
                raise ValueError(
                    f"`metrics` must have {self.num_classes} classes, got {metric.num_classes}."
                )
            self.counts.assign(_carry(self.counts + metric.counts))

    def result(self):
        """Figures by name, float32 scalars: see the class for the names."""
        counts = self.counts[0] * BLOCK + self.counts[1]
        right = ops.diagonal(counts)
        predicted, actual = ops.sum(counts, axis=0), ops.sum(counts, axis=1)
        accuracy = _ratio(ops.sum(right), ops.sum(actual))
        of_class = {
            "precision": _ratio(right, predicted),
            "recall": _ratio(right, actual),
            # 2 p r / (p + r) with p and r written out: one division, and 0 where both are 0.
            "f1": _ratio(2.0 * right, predicted + actual),
        }
        result = {"accuracy": accuracy}
        for average in self.averages:
            for key, values in of_class.items():
                result[f"{key}_{average}"] = ops.mean(values) if average == "macro" else accuracy
        if self.per_class:
            names = self.classes or range(self.num_classes)
            for key, values in of_class.items():
                result |= {f"{key}/{name}": values[index] for index, name in enumerate(names)}
        return {f"{self.prefix}{key}": value for key, value in result.items()}

    def matrix(self):
        """The weights as a float64 NumPy array (K, K): rows true, columns predicted."""
        blocks, rest = ops.convert_to_numpy(self.counts).astype("float64")
        return blocks * BLOCK + rest

    def plot(self, path=None, *, normalize=None):
        """A picture of the matrix; see `confusion_picture`.

        After `fit` or `evaluate` the metric holds the counts of the last pass over data.

        Args:
            path: File to write, by its ending PNG, SVG or PDF; none by default.
            normalize: `None` writes weights into the cells; `"true"` and `"predicted"` the
                share of the row and of the column, `"all"` that of all.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        names = self.classes or list(range(self.num_classes))
        figure = confusion_picture(self.matrix(), names, normalize=normalize)
        if path is not None:
            figure.savefig(path)
        return figure

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "classes": None if self.classes is None else list(self.classes),
            "from_scores": self.from_scores,
            "averages": list(self.averages),
            "per_class": self.per_class,
            "prefix": self.prefix,
        }


def _may_be_equal(shape, other):
    """Whether two shapes are equal as far as they are known."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


def _weights(sample_weight, labels):
    """Weights (B,), (B, 1) or of the labels' shape, as float32 of the labels' shape."""
    if sample_weight is None:
        return ops.ones_like(labels, dtype="float32")
    weights = ops.cast(sample_weight, "float32")
    rank = len(labels.shape)
    if len(weights.shape) == rank + 1 and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, axis=-1)
    for _ in range(rank - len(weights.shape)):
        weights = ops.expand_dims(weights, axis=-1)
    return ops.broadcast_to(weights, ops.shape(labels))
