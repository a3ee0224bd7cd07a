"""Checkpoints of other libraries, loaded into kerakit's models."""

from kerakit.weights.classifier import load_classifier
from kerakit.weights.read import read_arrays
from kerakit.weights.torchvision import load_torchvision

__all__ = ["load_classifier", "load_torchvision", "read_arrays"]
