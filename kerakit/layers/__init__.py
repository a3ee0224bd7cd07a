"""Keras layers, thin over `kerakit.ops`."""

from kerakit.layers.adaptive_average_pooling import AdaptiveAveragePooling2D
from kerakit.layers.anchor_generator import AnchorGenerator
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.class_token import ClassToken
from kerakit.layers.conv_2plus1d import Conv2Plus1D
from kerakit.layers.crop_like import CropLike
from kerakit.layers.divided_space_time_block import DividedSpaceTimeBlock
from kerakit.layers.drop_path import DropPath
from kerakit.layers.each_frame import EachFrame
from kerakit.layers.feature_pyramid import FeaturePyramid
from kerakit.layers.feed_forward import FeedForward
from kerakit.layers.fft_conv2d import FFTConv2D
from kerakit.layers.frozen_batch_normalization import FrozenBatchNormalization
from kerakit.layers.im2col_conv2d import Im2ColConv2D
from kerakit.layers.inflated_conv import InflatedConv3D
from kerakit.layers.instance_normalization import InstanceNormalization
from kerakit.layers.max_unpool import MaxUnpool2D
from kerakit.layers.mean_of_windows import MeanOfWindows
from kerakit.layers.mixture_of_experts import MixtureOfExperts
from kerakit.layers.nearest_neighbors import NearestNeighbors
from kerakit.layers.non_max_suppression import NonMaxSuppression
from kerakit.layers.padded_conv import PaddedConv1D, PaddedConv2D, PaddedConv3D
from kerakit.layers.padded_conv_transpose import (
    PaddedConv1DTranspose,
    PaddedConv2DTranspose,
    PaddedConv3DTranspose,
)
from kerakit.layers.padded_depthwise_conv import PaddedDepthwiseConv2D
from kerakit.layers.padded_max_pooling import MaxPooling2DWithIndices, PaddedMaxPooling2D
from kerakit.layers.patch_embedding import PatchEmbedding
from kerakit.layers.position_embedding import PositionEmbedding
from kerakit.layers.resize_like import ResizeLike
from kerakit.layers.roi_align import MultiScaleRoIAlign, RoIAlign
from kerakit.layers.roi_pool import RoIPool
from kerakit.layers.scale_by_max import ScaleByMax
from kerakit.layers.sine_position_embedding import SinePositionEmbedding
from kerakit.layers.slow_frames import SlowFrames
from kerakit.layers.standardize_by_example import StandardizeByExample
from kerakit.layers.transformer_block import TransformerBlock
from kerakit.layers.transformer_decoder_block import TransformerDecoderBlock
from kerakit.layers.vanilla_rnn import VanillaRNN

__all__ = [
    "AdaptiveAveragePooling2D",
    "AnchorGenerator",
    "BatchNormalization",
    "ClassToken",
    "Conv2Plus1D",
    "CropLike",
    "DividedSpaceTimeBlock",
    "DropPath",
    "EachFrame",
    "FFTConv2D",
    "FeaturePyramid",
    "FeedForward",
    "FrozenBatchNormalization",
    "Im2ColConv2D",
    "InflatedConv3D",
    "InstanceNormalization",
    "MaxPooling2DWithIndices",
    "MaxUnpool2D",
    "MeanOfWindows",
    "MixtureOfExperts",
    "MultiScaleRoIAlign",
    "NearestNeighbors",
    "NonMaxSuppression",
    "PaddedConv1D",
    "PaddedConv1DTranspose",
    "PaddedConv2D",
    "PaddedConv2DTranspose",
    "PaddedConv3D",
    "PaddedConv3DTranspose",
    "PaddedDepthwiseConv2D",
    "PaddedMaxPooling2D",
    "PatchEmbedding",
    "PositionEmbedding",
    "ResizeLike",
    "RoIAlign",
    "RoIPool",
    "ScaleByMax",
    "SinePositionEmbedding",
    "SlowFrames",
    "StandardizeByExample",
    "TransformerBlock",
    "TransformerDecoderBlock",
    "VanillaRNN",
]
