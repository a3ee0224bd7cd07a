"""Detectors: what is where in an image."""

from kerakit.models.detection.detector import Detector as Detector
from kerakit.models.detection.fast_rcnn import FastRCNN as FastRCNN
from kerakit.models.detection.fast_rcnn import fast_rcnn
from kerakit.models.detection.faster_rcnn import FasterRCNN as FasterRCNN
from kerakit.models.detection.mask_rcnn import MaskRCNN as MaskRCNN
from kerakit.models.detection.rcnn import RCNN as RCNN
from kerakit.models.detection.rcnn import rcnn
from kerakit.models.detection.rcnn_stages import fit_box_regression as fit_box_regression
from kerakit.models.detection.rcnn_stages import fit_svms as fit_svms
from kerakit.models.detection.region_classifier import RegionClassifier as RegionClassifier
from kerakit.models.detection.region_networks import (
    fasterrcnn_mobilenet_v2_fpn,
    fasterrcnn_resnet50_fpn,
    maskrcnn_mobilenet_v2_fpn,
    maskrcnn_resnet50_fpn,
)
from kerakit.models.detection.region_table import region_table as region_table
from kerakit.models.detection.yolo import YOLO as YOLO
from kerakit.models.detection.yolo import yolo_m, yolo_n, yolo_s
from kerakit.models.feature_taps import feature_taps as feature_taps

__all__ = [
    "fast_rcnn",
    "fasterrcnn_mobilenet_v2_fpn",
    "fasterrcnn_resnet50_fpn",
    "maskrcnn_mobilenet_v2_fpn",
    "maskrcnn_resnet50_fpn",
    "rcnn",
    "yolo_m",
    "yolo_n",
    "yolo_s",
]
