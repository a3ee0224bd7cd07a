"""Cross-entropy of a class a pixel, over the pixels of an image that count."""

import math

import keras
from keras import ops

from kerakit.losses.pixel_labels import check_image_weights, kinds_of_pixels, pixel_labels


def pixel_cross_entropy(labels, logits, *, class_weights=None, ignore_class=255, focal_gamma=0.0):
    """Weighted mean of the cross-entropy of an image's pixels.

    With `p` the softmax of a pixel's logits at its class `y`, its loss is
    `l = -(1 - p)^gamma log p`; an image's value is `sum w_y l / sum w_y` over its pixels, those
    of `ignore_class` left out. Where nothing is left, value and gradient are 0.

    Args:
        labels: (B, ...) integer classes in [0, K), or `ignore_class`. Any other label gives
            NaN, for no class is right there and a finite loss would hide it.
        logits: (B, ..., K) float.
        class_weights: K numbers w, or None for ones.
        ignore_class: Label of pixels that do not count; None if there are none.
        focal_gamma: Power by which pixels that are right already count less, at least 0.

    Returns:
        (B,) loss of each image, at least 0; float32 or wider.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, 2017, Section 3.2 (Eq. 5, of a
        softmax, with class weights for alpha). Deviations: the mean is over the weights.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.result_type(logits.dtype, "float32")
    logits, labels = ops.cast(logits, dtype), ops.cast(labels, "int32")
    counts, is_wrong = kinds_of_pixels(labels, logits.shape[-1], ignore_class)
    within = ops.where(counts, labels, 0)
    loss = ops.sparse_categorical_crossentropy(within, logits, from_logits=True)
    if focal_gamma:
        # 1 - p without the digits that 1 - exp(-l) loses; kept off 0, where a power below 1
        # has no slope.
        loss = ops.power(ops.maximum(-ops.expm1(-loss), 1e-12), focal_gamma) * loss
    loss = ops.where(is_wrong, ops.cast(math.nan, dtype), loss)
    weights = ops.cast(ops.logical_or(counts, is_wrong), dtype)
    if class_weights is not None:
        weights = weights * ops.take(ops.convert_to_tensor(class_weights, dtype), within)

    axes = tuple(range(1, len(weights.shape)))
    total = ops.sum(weights, axis=axes)
    return ops.sum(weights * loss, axis=axes) / ops.where(total > 0, total, 1.0)


@keras.saving.register_keras_serializable(package="kerakit")
class PixelCrossEntropy(keras.losses.Loss):
    """Cross-entropy of a class a pixel: class weights, ignored pixels, focal if wanted.

    See `pixel_cross_entropy`. One value an image, the mean over its own pixels that count, so
    that the loss of a batch is a mean over images and does not hang on how a batch is divided:
    `keras.losses.SparseCategoricalCrossentropy(ignore_class=255)` has the mean over the valid
    pixels of all images of a replica. Of two images with 1 and 3 valid pixels of losses 2 and 1
    it gives 1.25 on one replica and 1.5 on two, here it is 1.5 on both. It takes no class
    weights either.
    `keras.losses.CategoricalFocalCrossentropy` wants one-hot masks, ignores nothing and cuts
    probabilities at 1e-7: a pixel that is wrong by more than 16.1 in logits has no gradient,
    here it has 1.

    `torch.nn.CrossEntropyLoss(weight=...)` divides by the weights of the whole batch; so does
    this one over each image.

    Args:
        class_weights: K numbers, at least 0 and one of them above; None for ones.
        ignore_class: Label of pixels that do not count; None if there are none. Any other label
            outside [0, K) makes the loss NaN.
        focal_gamma: Power of the focal loss, at least 0; 2 is usual, 0 is the cross-entropy.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: If an argument is not as above; in a call, if the shapes do not fit, or
            `sample_weight` has more than a number an image.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, 2017, Section 3.2 (Eq. 5, of a
        softmax, with class weights for alpha). Deviations: the mean is over the weights.

    Example:

    >>> import numpy as np
    >>> mask = np.array([[[0, 1], [255, 255]], [[255, 255], [255, 255]]])  # the second: nothing
    >>> logits = np.log(np.tile([0.25, 0.75], (2, 2, 2, 1)))
    >>> losses = PixelCrossEntropy([1.0, 3.0], reduction=None)(mask, logits)
    >>> [round(float(x), 3) for x in losses]  # (-log 0.25 - 3 log 0.75) / 4
    [0.562, 0.0]
    """

    def __init__(
        self,
        class_weights=None,
        *,
        ignore_class=255,
        focal_gamma=0.0,
        reduction="sum_over_batch_size",
        name="pixel_cross_entropy",
        dtype=None,
    ):
        weights = None if class_weights is None else tuple(float(w) for w in class_weights)
        if weights is not None and not (
            all(w >= 0 and math.isfinite(w) for w in weights) and any(weights)
        ):
            raise ValueError(
                "`class_weights` must be finite numbers of at least 0, one of them above, got "
                f"{class_weights}."
            )
        if not (focal_gamma >= 0 and math.isfinite(focal_gamma)):
            raise ValueError(f"`focal_gamma` must be at least 0 and finite, got {focal_gamma}.")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.class_weights = weights
        self.ignore_class = ignore_class
        self.focal_gamma = focal_gamma

    def __call__(self, y_true, y_pred, sample_weight=None):
        check_image_weights(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        labels = pixel_labels(y_true, y_pred)
        if self.class_weights is not None and len(self.class_weights) != y_pred.shape[-1]:
            raise ValueError(
                f"`class_weights` must be a number a class, {y_pred.shape[-1]}, got "
                f"{len(self.class_weights)}."
            )
        return pixel_cross_entropy(
            labels,
            y_pred,
            class_weights=self.class_weights,
            ignore_class=self.ignore_class,
            focal_gamma=self.focal_gamma,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "class_weights": None if self.class_weights is None else list(self.class_weights),
            "ignore_class": self.ignore_class,
            "focal_gamma": self.focal_gamma,
            "dtype": self.dtype,
        }
