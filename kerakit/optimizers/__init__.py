"""Optimizers in their textbook formulas, with PyTorch's conventions as a switch.

The switch is `convention`, `"sheet"` or `"torch"`; the sheet is the list of textbook formulas in
docs/coverage.md.
"""

from kerakit.optimizers.adagrad import AdaGrad
from kerakit.optimizers.adam import Adam
from kerakit.optimizers.layerwise import LayerwiseAdamW
from kerakit.optimizers.rmsprop import RMSProp
from kerakit.optimizers.sgd import SGD

__all__ = ["SGD", "AdaGrad", "Adam", "LayerwiseAdamW", "RMSProp"]
