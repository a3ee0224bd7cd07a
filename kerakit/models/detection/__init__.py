"""Detectors: what is where in an image."""

from kerakit.models.detection.detector import Detector
from kerakit.models.detection.fast_rcnn import FastRCNN, fast_rcnn
from kerakit.models.detection.faster_rcnn import FasterRCNN
from kerakit.models.detection.mask_rcnn import MaskRCNN
from kerakit.models.detection.rcnn import RCNN, rcnn
from kerakit.models.detection.rcnn_stages import fit_box_regression, fit_svms
from kerakit.models.detection.region_classifier import RegionClassifier
from kerakit.models.detection.region_networks import (
    fasterrcnn_mobilenet_v2_fpn,
    fasterrcnn_resnet50_fpn,
    maskrcnn_mobilenet_v2_fpn,
    maskrcnn_resnet50_fpn,
)
from kerakit.models.detection.region_table import region_table
from kerakit.models.detection.yolo import YOLO, yolo_m, yolo_n, yolo_s
from kerakit.models.feature_taps import feature_taps as feature_taps

__all__ = [
    "RCNN",
    "YOLO",
    "Detector",
    "FastRCNN",
    "FasterRCNN",
    "MaskRCNN",
    "RegionClassifier",
    "fast_rcnn",
    "fasterrcnn_mobilenet_v2_fpn",
    "fasterrcnn_resnet50_fpn",
    "fit_box_regression",
    "fit_svms",
    "maskrcnn_mobilenet_v2_fpn",
    "maskrcnn_resnet50_fpn",
    "rcnn",
    "region_table",
    "yolo_m",
    "yolo_n",
    "yolo_s",
]
