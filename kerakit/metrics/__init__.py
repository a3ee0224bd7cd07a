"""Metrics: how well a model does."""

from kerakit.metrics.confusion_matrix import ConfusionMatrix
from kerakit.metrics.mean_average_precision import MeanAveragePrecision
from kerakit.metrics.multi_label_average_precision import MultiLabelAveragePrecision
from kerakit.metrics.segmentation_scores import SegmentationScores

__all__ = [
    "ConfusionMatrix",
    "MeanAveragePrecision",
    "MultiLabelAveragePrecision",
    "SegmentationScores",
]
