"""Multiclass hinge loss, the SVM's."""

import math

import keras
from keras import ops


def multiclass_hinge(labels, scores, *, margin=1.0):
    """Sum of the margins by which wrong classes come too close to the right one.

    For each example: `sum over j != y of max(0, s_j - s_y + margin)`.

    Args:
        labels: (...) integer classes in [0, K), or -1 for padding, whose loss and gradient
            are 0. Any other label gives NaN, for no score is right there and a finite loss
            would hide it.
        scores: (..., K) float scores, unnormalised.
        margin: Distance by which the right class must lead, in score units.

    Returns:
        (...) loss of each example, at least 0, in the scores' dtype.

    Reference:
        Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition,
        1999, Eq. 3. Deviations: the margin is 1 by default, where theirs is 2.
    """
    num_classes = scores.shape[-1]
    labels = ops.cast(labels, "int32")
    is_class = ops.logical_and(labels >= 0, labels < num_classes)
    outside = ops.where(labels == -1, 0.0, math.nan)
    within = ops.clip(labels, 0, num_classes - 1)
    is_right = ops.one_hot(within, num_classes, dtype=scores.dtype)
    right = ops.sum(is_right * scores, axis=-1, keepdims=True)
    violation = ops.relu(scores - right + margin)
    loss = ops.sum(violation * (1.0 - is_right), axis=-1)
    return ops.where(is_class, loss, ops.cast(outside, loss.dtype))


@keras.saving.register_keras_serializable(package="kerakit")
class MulticlassHinge(keras.losses.Loss):
    """Multiclass hinge loss on scores, summed over the wrong classes.

    The right class is wanted ahead of each wrong one by `margin`; see `multiclass_hinge`.
    `keras.losses.CategoricalHinge` is another loss: it takes only the largest wrong score, and
    compares it with 0 too. For scores (-5, -3, -4) and class 1 it gives 4; the sum over wrong
    classes is 0.

    Scores may have any number of axes before the classes: (B, K), or (B, H, W, K) for a label
    a pixel. Labels are sparse, of shape (B,) or (B, 1), or one-hot, (B, K); which of them is
    read from the shapes, not from the values. Soft targets are not hinge targets: of such a
    row the largest entry counts as the class.

    The label -1, or a one-hot row of zeros, is padding: its loss and gradient are 0, with
    `sample_weight` and without. It still counts as an example where the loss is averaged, as
    one of weight 0 does; `reduction="mean_with_sample_weight"` averages over the weights. Any
    other label outside [0, K) gives NaN, under a weight of 0 too.

    Args:
        margin: Distance by which the right class must lead, in score units; positive.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: If `margin` is not positive and finite; in a call, if the shapes do not fit.

    Reference:
        Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition,
        1999, Eq. 3. Deviations: the margin is 1 by default, where theirs is 2.

    Example:

    >>> import numpy as np
    >>> scores = np.array([[-5.0, -3.0, -4.0], [3.0, 5.0, -1.0]])
    >>> losses = MulticlassHinge(reduction=None)(np.array([1, 0]), scores)
    >>> [round(float(x), 3) for x in losses]  # the second: 5 - 3 + 1
    [0.0, 3.0]
    """

    def __init__(
        self,
        margin=1.0,
        *,
        reduction="sum_over_batch_size",
        name="multiclass_hinge",
        dtype=None,
    ):
        if not (margin > 0 and math.isfinite(margin)):
            raise ValueError(f"`margin` must be positive and finite, got {margin}.")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin = margin

    def call(self, y_true, y_pred):
        return multiclass_hinge(_labels(y_true, y_pred), y_pred, margin=self.margin)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "dtype": self.dtype}


def _labels(y_true, y_pred):
    """Sparse labels, of y_pred's shape without its last axis."""
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    # With one class (..., 1) could be sparse or one-hot, and there is no wrong class.
    if len(pred_shape) < 2 or pred_shape[-1] is None or pred_shape[-1] < 2:
        raise ValueError(
            f"`y_pred` must be scores (..., K) of at least 2 classes, got shape {pred_shape}."
        )
    is_sparse = len(true_shape) == len(pred_shape) - 1
    has_last_axis = len(true_shape) == len(pred_shape) and true_shape[-1] in (1, pred_shape[-1])
    leading = zip(true_shape, pred_shape[:-1], strict=False)
    if not (is_sparse or has_last_axis) or any(
        true != pred and None not in (true, pred) for true, pred in leading
    ):
        raise ValueError(
            "`y_true` must be labels (...) or (..., 1), or one-hot (..., K), for `y_pred` of "
            f"shape {pred_shape}, got shape {true_shape}."
        )
    if is_sparse:
        return y_true
    if true_shape[-1] == 1:
        return ops.squeeze(y_true, axis=-1)
    return ops.where(ops.any(y_true, axis=-1), ops.argmax(y_true, axis=-1), -1)
