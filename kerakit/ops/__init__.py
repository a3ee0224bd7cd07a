"""Pure functions on tensors, in `keras.ops` alone."""

from kerakit.ops.anchors import grid_points, pyramid_anchors
from kerakit.ops.approximate_neighbors import approximate_neighbors
from kerakit.ops.box_coding import decode_boxes, encode_boxes
from kerakit.ops.box_formats import convert_boxes
from kerakit.ops.box_geometry import box_area, clip_boxes
from kerakit.ops.box_iou import elementwise_iou, pairwise_iou
from kerakit.ops.box_matching import match_boxes, random_keys, sample_matches
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
from kerakit.ops.mask_pasting import paste_masks
from kerakit.ops.mask_targets import mask_targets
from kerakit.ops.max_pooling import max_pooling, max_pooling_with_indices
from kerakit.ops.max_unpooling import max_unpooling
from kerakit.ops.nearest_neighbors import nearest_neighbors
from kerakit.ops.non_max_suppression import non_max_suppression
from kerakit.ops.resize_bilinear import resize_bilinear
from kerakit.ops.roi_align import multi_level_roi_align, roi_align, roi_levels
from kerakit.ops.roi_pooling import roi_pooling
from kerakit.ops.scale_by_max import scale_by_max
from kerakit.ops.sine_positions import sine_positions
from kerakit.ops.transposed_convolution import transposed_convolution

__all__ = [
    "approximate_neighbors",
    "box_area",
    "clip_boxes",
    "convert_boxes",
    "convolution",
    "convolution_bias_gradient",
    "convolution_input_gradient",
    "convolution_kernel_gradient",
    "decode_boxes",
    "direct_convolution",
    "elementwise_iou",
    "encode_boxes",
    "expert_positions",
    "grid_points",
    "im2col",
    "l1_distances",
    "mask_targets",
    "match_boxes",
    "max_pooling",
    "max_pooling_with_indices",
    "max_unpooling",
    "multi_level_roi_align",
    "nearest_neighbors",
    "non_max_suppression",
    "pairwise_iou",
    "paste_masks",
    "pyramid_anchors",
    "random_keys",
    "resize_bilinear",
    "roi_align",
    "roi_levels",
    "roi_pooling",
    "sample_matches",
    "scale_by_max",
    "sine_positions",
    "transposed_convolution",
]
