"""Cross-entropy and soft Dice of an image's pixels together."""

import keras

from kerakit.losses.pixel_cross_entropy import PixelCrossEntropy
from kerakit.losses.soft_dice import SoftDice


@keras.saving.register_keras_serializable(package="kerakit")
class PixelCrossEntropyDice(PixelCrossEntropy):
    """`PixelCrossEntropy` plus `SoftDice` of the same image.

    The cross-entropy has a slope for every pixel from the first step on; Dice is near the IoU
    that is asked for in the end. Keras adds losses of several outputs, not of one.

    Args:
        class_weights: As of `PixelCrossEntropy`; Dice weighs classes alike.
        dice_weight: Factor on the Dice loss, at least 0.
        **options: Other arguments of `PixelCrossEntropy`.

    Raises:
        ValueError: If an argument is not as above; in a call, as of `PixelCrossEntropy`.

    Reference:
        Isensee et al., nnU-Net: a self-configuring method for deep learning-based biomedical
        image segmentation, 2021, Methods (the sum of Dice and cross-entropy). Deviations: their
        Dice is of a batch or a sample with a smoothing term, this is `SoftDice`.

    Example:

    >>> import numpy as np
    >>> mask, logits = np.array([[[0, 1], [255, 1]]]), np.zeros((1, 2, 2, 2))
    >>> round(float(PixelCrossEntropyDice()(mask, logits)), 3)  # log 2 + 0.514
    1.207
    """

    def __init__(
        self, class_weights=None, *, dice_weight=1.0, name="pixel_cross_entropy_dice", **options
    ):
        if not dice_weight >= 0:
            raise ValueError(f"`dice_weight` must be at least 0, got {dice_weight}.")
        super().__init__(class_weights, name=name, **options)
        self.dice_weight = dice_weight
        self._dice = SoftDice(ignore_class=self.ignore_class)

    def call(self, y_true, y_pred):
        dice = self._dice.call(y_true, y_pred)
        return super().call(y_true, y_pred) + self.dice_weight * dice

    def get_config(self):
        return {**super().get_config(), "dice_weight": self.dice_weight}
