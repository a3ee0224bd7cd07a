"""A run's folder, its log, pictures, report and end."""

from kerakit.runs.augmentation import augmentation, clip_augmentation
from kerakit.runs.classification import finish_classifier
from kerakit.runs.comparison import compare_runs, is_finished
from kerakit.runs.detection import finish_detector, judge_detector, validation_of
from kerakit.runs.explanation import explanation_of
from kerakit.runs.opening import (
    build_classifier,
    build_detector,
    build_segmenter,
    build_video_classifier,
    load_backbone,
    load_data,
    require_weights,
)
from kerakit.runs.report import write_report
from kerakit.runs.run import Run, place
from kerakit.runs.segmentation import (
    finish_segmenter,
    frames_of,
    pixel_weights,
    require_tiles,
)
from kerakit.runs.settings import parse_settings, require, require_size
from kerakit.runs.video import finish_video_classifier

__all__ = [
    "Run",
    "augmentation",
    "build_classifier",
    "build_detector",
    "build_segmenter",
    "build_video_classifier",
    "clip_augmentation",
    "compare_runs",
    "explanation_of",
    "finish_classifier",
    "finish_detector",
    "finish_segmenter",
    "finish_video_classifier",
    "frames_of",
    "is_finished",
    "judge_detector",
    "load_backbone",
    "load_data",
    "parse_settings",
    "pixel_weights",
    "place",
    "require",
    "require_size",
    "require_tiles",
    "require_weights",
    "validation_of",
    "write_report",
]
