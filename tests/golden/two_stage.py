"""The two-stage detectors that torchvision has too, and what they are shown."""

import functools
import json

import numpy as np

from tests.golden import seeding
from tests.golden.regenerate import DIRECTORY

IMAGE = (128, 160)
NUM_CLASSES = 90
# Name -> options in kerakit's words; few proposals, so that the golden file is small.
MODELS = {
    "fasterrcnn_resnet50_fpn": {"post_nms": (60, 40), "max_detections": 20},
    "maskrcnn_resnet50_fpn": {"post_nms": (60, 40), "max_detections": 20},
}
# All anchors and all proposals in the loss: no draw.
ALL = {
    "anchor_samples": 8000,
    "anchor_positive_fraction": 1.0,
    "box_samples": 200,
    "box_positive_fraction": 1.0,
}
# Seeded weights would see nothing but background, or be as sure of everything.
SCALES = {
    "rpn.head.cls_logits.weight": 0.1,
    "rpn.head.bbox_pred.weight": 0.1,
    "roi_heads.box_predictor.bbox_pred.weight": 0.3,
    "roi_heads.box_predictor.cls_score.weight": 0.3,
}


def pictures():
    """(2, H, W, 3) pixels 0..255: coarse patches, so that places differ."""
    coarse = seeding.pictures((2, IMAGE[0] // 16, IMAGE[1] // 16, 3))
    return coarse.repeat(16, 1).repeat(16, 2)


def targets():
    """Boxes (2, 3, 4), labels (2, 3) with one row of padding, masks (2, 3, H, W) of ellipses."""
    boxes = [
        [[10, 20, 70, 90], [60.5, 8, 150, 70.25], [0, 0, 0, 0]],
        [[30, 30, 58, 62], [5, 64, 155, 120], [96, 10, 140, 44]],
    ]
    boxes = np.array(boxes, "float32")
    y, x = np.mgrid[: IMAGE[0], : IMAGE[1]] + 0.5
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)[..., None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        across, down = (2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1)
        masks = across**2 + down**2 < 1
    return {
        "boxes": boxes,
        "labels": np.array([[4, 70, -1], [0, 33, 89]], "int32"),
        "masks": masks.astype("uint8"),
    }


def parameters(shapes):
    """Seeded parameters, some of them scaled."""
    values = seeding.parameters(shapes)
    for name, scale in SCALES.items():
        values[name] = values[name] * np.float32(scale)
    return values


@functools.cache
def _file():
    with np.load(DIRECTORY / "two_stage.npz") as file:
        return dict(file)


def checkpoint(name):
    """Torchvision's parameters and statistics by its names, as the golden run had them."""
    return parameters(json.loads(str(_file()[f"{name}.shapes"])))


def golden(name):
    """One array of the file."""
    return _file()[name]
