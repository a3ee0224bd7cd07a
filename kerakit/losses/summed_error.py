"""Errors of regression, summed over an example's elements."""

import keras
from keras import ops


class _SummedError(keras.losses.Loss):
    """Checks the shapes of a loss that sums over all elements of an example."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        # There is one loss an example: more weights than that would broadcast to nonsense.
        weights = {
            "`sample_weight`": sample_weight,
            "The mask of `y_pred`": getattr(y_pred, "_keras_mask", None),
        }
        for name, weight in weights.items():
            shape = () if weight is None else tuple(ops.convert_to_tensor(weight).shape)
            if len(shape) > 1 and shape[1:] != (1,):
                raise ValueError(
                    f"{name} must be one number an example, (B,) or (B, 1), got shape {shape}."
                )
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def get_config(self):
        return {**super().get_config(), "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="kerakit")
class SummedSquaredError(_SummedError):
    """Squared error, summed: `sum over i of (y_i - yhat_i)^2`.

    The sum runs over all elements of one example, whatever its shape; what happens over the
    batch is Keras's `reduction`, by default the mean. `keras.losses.MeanSquaredError` divides
    by the number of elements: for errors (1, 2, 3) it gives 4.667, this gives 14. The scale of
    the gradient therefore grows with the number of elements here.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: In a call, if `y_true` and `y_pred` differ in more than a last axis of 1,
            or if there is more than one sample weight an example.

    Reference:
        Bishop, Pattern Recognition and Machine Learning, 2006, Eq. 1.2. Deviations: without
        its factor of one half.

    Example:

    >>> import numpy as np
    >>> float(SummedSquaredError()(np.zeros((4, 3)), np.array([[1.0, 2.0, 3.0]] * 4)))
    14.0
    """

    def __init__(self, *, reduction="sum_over_batch_size", name="summed_squared_error", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return _sum_of_example(ops.square(_difference(y_true, y_pred)))


@keras.saving.register_keras_serializable(package="kerakit")
class SummedAbsoluteError(_SummedError):
    """Absolute error, summed: `sum over i of |y_i - yhat_i|`.

    The sum runs over all elements of one example, whatever its shape; what happens over the
    batch is Keras's `reduction`, by default the mean. `keras.losses.MeanAbsoluteError` divides
    by the number of elements: for errors (1, 2, 3) it gives 2, this gives 6. Where an error is
    exactly 0 the gradient is 0 on every backend; Keras's on JAX is then that of an error
    above 0.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: In a call, if `y_true` and `y_pred` differ in more than a last axis of 1,
            or if there is more than one sample weight an example.

    Reference:
        Boyd and Vandenberghe, Convex Optimization, 2004, section 6.1.1, l1-norm
        approximation. Deviations: none.

    Example:

    >>> import numpy as np
    >>> float(SummedAbsoluteError()(np.zeros((4, 3)), np.array([[1.0, -2.0, 3.0]] * 4)))
    6.0
    """

    def __init__(
        self, *, reduction="sum_over_batch_size", name="summed_absolute_error", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        difference = _difference(y_true, y_pred)
        # Its gradient is sign(difference), 0 at 0, on every backend; that of |x| is not.
        return _sum_of_example(ops.sign(difference) * difference)


def _difference(y_true, y_pred):
    """Their difference, never broadcast: (B,) minus (B, 1) would be (B, B)."""
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true_shape) == len(pred_shape) - 1 and pred_shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    elif len(pred_shape) == len(true_shape) - 1 and true_shape[-1] == 1:
        y_pred = ops.expand_dims(y_pred, -1)
    sizes = list(zip(y_true.shape, y_pred.shape, strict=False))
    if len(y_true.shape) != len(y_pred.shape) or any(
        true != pred and None not in (true, pred) for true, pred in sizes
    ):
        raise ValueError(
            f"`y_true` must have the shape of `y_pred`, {pred_shape}, got {true_shape}."
        )
    return y_true - y_pred


def _sum_of_example(error):
    return ops.sum(error, axis=tuple(range(1, len(error.shape))))
