"""Optimizers in the sheet's formulas, with PyTorch's conventions as a switch."""

from kerakit.optimizers.adagrad import AdaGrad
from kerakit.optimizers.adam import Adam
from kerakit.optimizers.rmsprop import RMSProp
from kerakit.optimizers.sgd import SGD

__all__ = ["SGD", "AdaGrad", "Adam", "RMSProp"]
