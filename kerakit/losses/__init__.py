"""Losses whose formula Keras does not have.

Softmax and binary cross-entropy are Keras's: `keras.losses.SparseCategoricalCrossentropy`,
`CategoricalCrossentropy` and `BinaryCrossentropy`, with `from_logits=True` on logits.
"""

from kerakit.losses.distribution_focal import DistributionFocal
from kerakit.losses.multiclass_hinge import MulticlassHinge
from kerakit.losses.pixel_cross_entropy import PixelCrossEntropy
from kerakit.losses.pixel_cross_entropy_dice import PixelCrossEntropyDice
from kerakit.losses.quality_focal import QualityFocal
from kerakit.losses.soft_dice import SoftDice
from kerakit.losses.summed_error import SummedAbsoluteError, SummedSquaredError

__all__ = [
    "DistributionFocal",
    "MulticlassHinge",
    "PixelCrossEntropy",
    "PixelCrossEntropyDice",
    "QualityFocal",
    "SoftDice",
    "SummedAbsoluteError",
    "SummedSquaredError",
]
