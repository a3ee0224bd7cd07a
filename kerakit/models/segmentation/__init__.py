"""Segmenters: the class of every pixel, as logits."""

from kerakit.models.segmentation.as_convolution import as_convolution
from kerakit.models.segmentation.backbone_unet import (
    backbone_unet,
    unet_mobilenet_v2,
    unet_resnet18,
    unet_resnet34,
)
from kerakit.models.segmentation.fcn_resnet import fcn_resnet50, fcn_resnet101
from kerakit.models.segmentation.fcn_vgg import fcn8s, fcn16s, fcn32s
from kerakit.models.segmentation.segnet import segnet
from kerakit.models.segmentation.sliding_window import sliding_window
from kerakit.models.segmentation.unet import unet

__all__ = [
    "as_convolution",
    "backbone_unet",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_resnet50",
    "fcn_resnet101",
    "segnet",
    "sliding_window",
    "unet",
    "unet_mobilenet_v2",
    "unet_resnet18",
    "unet_resnet34",
]
