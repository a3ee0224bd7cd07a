"""Builders of image classifiers; each returns a `keras.Model` that ends in logits."""

from kerakit.models.classification.resnet import resnet18

__all__ = ["resnet18"]
