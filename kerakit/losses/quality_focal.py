"""Quality focal loss: scores that are to say how well a box fits."""

import keras
from keras import ops


def quality_focal(targets, logits, *, gamma=2.0):
    """Binary cross-entropy with soft targets, weighted by how far off the score is.

    `|y - s|^gamma (-y log s - (1 - y) log(1 - s))` with `s = sigmoid(logit)`. For targets 0 and
    1 it is the focal loss without its alpha, for `gamma=0` the plain cross-entropy. It is lowest
    at `s = y`.

    Args:
        targets: (...) float in [0, 1].
        logits: (...) float.
        gamma: Power of the distance, at least 0.

    Returns:
        (...) loss of each element, at least 0; float32 or wider.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, 2020, Eq. 5. Deviations: none.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.result_type(logits.dtype, "float32")
    logits, targets = ops.cast(logits, dtype), ops.cast(targets, dtype)
    # -y log s - (1 - y) log(1 - s), without a logarithm of 0.
    loss = ops.softplus(logits) - targets * logits
    if gamma == 0:
        return loss
    distance = ops.abs(targets - ops.sigmoid(logits))
    return (ops.square(distance) if gamma == 2 else ops.power(distance, gamma)) * loss


@keras.saving.register_keras_serializable(package="kerakit")
class QualityFocal(keras.losses.Loss):
    """Quality focal loss on logits, averaged over an example's classes.

    See `quality_focal`. `keras.losses.BinaryFocalCrossentropy` weights by `1 - p_t` with
    `p_t = y s + (1 - y)(1 - s)`, which for soft targets is no distance: at `y = s = 0.7` its
    weight is 0.176 and pulls on, here it is 0.

    Args:
        gamma: Power of the distance between target and score, at least 0.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: If `gamma` is negative.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, 2020, Eq. 5. Deviations: none.

    Example:

    >>> import numpy as np
    >>> losses = QualityFocal(reduction=None)(np.array([[1.0], [0.5]]), np.zeros((2, 1)))
    >>> [round(float(x), 4) for x in losses]  # 0.25 log 2; right already
    [0.1733, 0.0]
    """

    def __init__(
        self, gamma=2.0, *, reduction="sum_over_batch_size", name="quality_focal", dtype=None
    ):
        if gamma < 0:
            raise ValueError(f"`gamma` must be at least 0, got {gamma}.")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return ops.mean(quality_focal(y_true, y_pred, gamma=self.gamma), axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "dtype": self.dtype}
