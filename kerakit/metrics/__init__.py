"""Metrics: how well a model does."""

from kerakit.metrics.confusion_matrix import ConfusionMatrix

__all__ = ["ConfusionMatrix"]
