"""Pure functions on tensors, in `keras.ops` alone."""

from kerakit.ops.expert_positions import expert_positions
from kerakit.ops.max_pooling import max_pooling, max_pooling_with_indices
from kerakit.ops.max_unpooling import max_unpooling
from kerakit.ops.scale_by_max import scale_by_max
from kerakit.ops.sine_positions import sine_positions
from kerakit.ops.transposed_convolution import transposed_convolution

__all__ = [
    "expert_positions",
    "max_pooling",
    "max_pooling_with_indices",
    "max_unpooling",
    "scale_by_max",
    "sine_positions",
    "transposed_convolution",
]
