"""Soft Dice loss: how little the predicted regions of an image overlap the true ones."""

import math

import keras
from keras import ops

from kerakit.losses.pixel_labels import check_image_weights, kinds_of_pixels, pixel_labels


def soft_dice(labels, logits, *, classes=None, ignore_class=255, smooth=0.0):
    """One less the mean Dice score of the classes that an image has.

    With `p_k` the softmax of a pixel's logits and `t_k` 1 where its class is k, over an image's
    pixels without those of `ignore_class`:
    `D_k = (2 sum p_k t_k + smooth) / (sum p_k + sum t_k + smooth)`. The value is
    `1 - mean of D_k` over the classes with a pixel in the image: one that it has not could get
    no score but 0. Where no class is left, value and gradient are 0.

    Args:
        labels: (B, ...) integer classes in [0, K), or `ignore_class`. Any other label gives NaN.
        logits: (B, ..., K) float.
        classes: Class ids that count; None for all. The others are what is not them: `p_k`
            falls on their pixels.
        ignore_class: Label of pixels that do not count; None if there are none.
        smooth: Pixels added to both parts of the fraction, at least 0; small regions weigh less.

    Returns:
        (B,) loss of each image in [0, 1]; float32 or wider.

    Reference:
        Drozdzal et al., The Importance of Skip Connections in Biomedical Image Segmentation,
        2016 (their Dice loss, of one class). Deviations: the mean over an image's classes, and 1
        is added.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.result_type(logits.dtype, "float32")
    labels, num_classes = ops.cast(labels, "int32"), logits.shape[-1]
    counts, is_wrong = kinds_of_pixels(labels, num_classes, ignore_class)
    truth = ops.one_hot(ops.where(counts, labels, -1), num_classes, dtype=dtype)
    share = ops.softmax(ops.cast(logits, dtype), axis=-1) * ops.cast(counts, dtype)[..., None]

    axes = tuple(range(1, len(labels.shape)))
    size = ops.sum(truth, axis=axes)
    overlap = ops.sum(share * truth, axis=axes)
    whole = size + ops.sum(share, axis=axes) + smooth
    dice = (2.0 * overlap + smooth) / ops.where(whole > 0, whole, 1.0)
    is_there = ops.cast(size > 0, dtype)
    if classes is not None:
        is_there = is_there * ops.sum(ops.one_hot(classes, num_classes, dtype=dtype), axis=0)
    loss = ops.sum(is_there * (1.0 - dice), axis=-1)
    loss = loss / ops.maximum(ops.sum(is_there, axis=-1), 1.0)
    return ops.where(ops.any(is_wrong, axis=axes), ops.cast(math.nan, dtype), loss)


@keras.saving.register_keras_serializable(package="kerakit")
class SoftDice(keras.losses.Loss):
    """Soft Dice loss on logits, of the classes that an image has.

    See `soft_dice`. `keras.losses.Dice` wants one-hot masks and probabilities, ignores no pixel,
    and by default pools all classes and images into one fraction, so that the largest class
    decides: 96 pixels of background that are right and 4 of a nucleus that are missed give it a
    loss of 0.04, where this gives 0.51. Told to sum each class apart (`axis=(1, 2)`), it counts
    a class that is not in the image as lost, a loss of 1, whatever is predicted.

    Args:
        classes: Class ids that count; None for all.
        ignore_class: Label of pixels that do not count; None if there are none. Any other label
            outside [0, K) makes the loss NaN.
        smooth: Pixels added to both parts of the fraction, at least 0.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computation; None for Keras's `floatx`, which is float32 under
            mixed precision too.

    Raises:
        ValueError: If an argument is not as above; in a call, if the shapes do not fit, a class
            is not of the logits, or `sample_weight` has more than a number an image.

    Reference:
        Drozdzal et al., The Importance of Skip Connections in Biomedical Image Segmentation,
        2016 (their Dice loss, of one class). Deviations: the mean over an image's classes, and 1
        is added.

    Example:

    >>> import numpy as np
    >>> mask = np.array([[[0, 1], [255, 1]]])
    >>> right = np.array([[[[50.0, 0.0], [0.0, 50.0]], [[0.0, 50.0], [0.0, 50.0]]]])
    >>> loss = SoftDice()
    >>> round(float(loss(mask, right)), 3), round(float(loss(mask, 0 * right)), 3)  # D: 2/5, 4/7
    (0.0, 0.514)
    """

    def __init__(
        self,
        *,
        classes=None,
        ignore_class=255,
        smooth=0.0,
        reduction="sum_over_batch_size",
        name="soft_dice",
        dtype=None,
    ):
        if classes is not None and (
            len(classes) == 0 or len(set(classes)) != len(classes) or min(classes) < 0
        ):
            raise ValueError(f"`classes` must be different ids from 0 up, got {classes}.")
        if not (smooth >= 0 and math.isfinite(smooth)):
            raise ValueError(f"`smooth` must be at least 0 and finite, got {smooth}.")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.classes = None if classes is None else tuple(classes)
        self.ignore_class = ignore_class
        self.smooth = smooth

    def __call__(self, y_true, y_pred, sample_weight=None):
        check_image_weights(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        labels = pixel_labels(y_true, y_pred)
        if self.classes is not None and max(self.classes) >= y_pred.shape[-1]:
            raise ValueError(
                f"`classes` must be below {y_pred.shape[-1]}, the number of logits, got "
                f"{self.classes}."
            )
        return soft_dice(
            labels,
            y_pred,
            classes=self.classes,
            ignore_class=self.ignore_class,
            smooth=self.smooth,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "classes": None if self.classes is None else list(self.classes),
            "ignore_class": self.ignore_class,
            "smooth": self.smooth,
            "dtype": self.dtype,
        }
