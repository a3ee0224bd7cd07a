"""Distribution focal loss: a number learned as a distribution over whole numbers."""

import keras
from keras import ops


def distribution_focal(targets, logits):
    """Cross-entropy that pulls a distribution to the two whole numbers around a target.

    For `y` between the neighbours `i` and `i + 1` and `S` the softmax over 0..R:
    `-((i + 1 - y) log S_i + (y - i) log S_(i+1))`. It is lowest where the distribution has its
    mass on the two in such shares that its mean is `y`.

    Args:
        targets: (...) float numbers in [0, R]; what is outside counts as its nearest end.
        logits: (..., R + 1) float scores of 0, 1, ..., R.

    Returns:
        (...) float loss of each target, at least 0; float32 or wider.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, 2020, Eq. 6. Deviations: targets beyond R are cut to it.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.result_type(logits.dtype, "float32")
    number = ops.arange(logits.shape[-1], dtype=dtype)
    targets = ops.clip(ops.cast(targets, dtype), 0, logits.shape[-1] - 1)
    # The share of a number falls from 1 at the target to 0 at a distance of 1.
    shares = ops.relu(1 - ops.abs(targets[..., None] - number))
    shares = ops.stop_gradient(shares)
    return -ops.sum(shares * ops.log_softmax(ops.cast(logits, dtype), axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="kerakit")
class DistributionFocal(keras.losses.Loss):
    """Distribution focal loss, for regression by a distribution over 0, 1, ..., R.

    See `distribution_focal`. `keras.losses.SparseCategoricalCrossentropy` takes whole numbers
    only: for a target of 2.25 and all mass on 2 and 3, at 3 to 1, this gives its least, 0.5623;
    Keras's has its least, 0, at all mass on the rounded 2. One value an element of `y_true`;
    their mean over the last axis, such as a box's four edges, is the loss of an example.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: In a call, if `y_pred` is not of `y_true`'s shape and one axis more.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, 2020, Eq. 6. Deviations: targets beyond R are cut to it.

    Example:

    >>> import numpy as np
    >>> logits = np.log([[[0.001, 0.001, 0.749, 0.249]]])
    >>> round(float(DistributionFocal()(np.array([[2.25]]), logits)), 3)
    0.564
    """

    def __init__(self, *, reduction="sum_over_batch_size", name="distribution_focal", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
        if len(pred_shape) != len(true_shape) + 1:
            raise ValueError(
                "`y_pred` must be (..., R + 1) for `y_true` of shape (...), got shapes "
                f"{pred_shape} and {true_shape}."
            )
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        loss = distribution_focal(y_true, y_pred)
        return ops.mean(loss, axis=-1) if len(loss.shape) > 1 else loss

    def get_config(self):
        return {**super().get_config(), "dtype": self.dtype}
