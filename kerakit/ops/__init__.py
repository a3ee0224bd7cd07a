"""Pure functions on tensors, in `keras.ops` alone."""

from kerakit.ops.scale_by_max import scale_by_max

__all__ = ["scale_by_max"]
