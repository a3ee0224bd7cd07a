"""Keras layers, thin over `kerakit.ops`."""

from kerakit.layers.scale_by_max import ScaleByMax

__all__ = ["ScaleByMax"]
