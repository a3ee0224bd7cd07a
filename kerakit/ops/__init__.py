"""Pure functions on tensors, in `keras.ops` alone."""

from kerakit.ops.approximate_neighbors import approximate_neighbors
from kerakit.ops.convolution import convolution
from kerakit.ops.convolution_gradients import (
    convolution_bias_gradient,
    convolution_input_gradient,
    convolution_kernel_gradient,
)
from kerakit.ops.convolution_im2col import im2col
from kerakit.ops.direct_convolution import direct_convolution
from kerakit.ops.expert_positions import expert_positions
from kerakit.ops.l1_distances import l1_distances
from kerakit.ops.max_pooling import max_pooling, max_pooling_with_indices
from kerakit.ops.max_unpooling import max_unpooling
from kerakit.ops.nearest_neighbors import nearest_neighbors
from kerakit.ops.scale_by_max import scale_by_max
from kerakit.ops.sine_positions import sine_positions
from kerakit.ops.transposed_convolution import transposed_convolution

__all__ = [
    "approximate_neighbors",
    "convolution",
    "convolution_bias_gradient",
    "convolution_input_gradient",
    "convolution_kernel_gradient",
    "direct_convolution",
    "expert_positions",
    "im2col",
    "l1_distances",
    "max_pooling",
    "max_pooling_with_indices",
    "max_unpooling",
    "nearest_neighbors",
    "scale_by_max",
    "sine_positions",
    "transposed_convolution",
]
