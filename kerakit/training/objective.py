"""What a model is trained for: its loss, and the figures of each epoch."""

from typing import NamedTuple

import keras

from kerakit.losses import PixelCrossEntropy, PixelCrossEntropyDice, SoftDice
from kerakit.metrics import ConfusionMatrix, MultiLabelAveragePrecision, SegmentationScores


class Objective(NamedTuple):
    """Loss, metrics, and the figure of the log whose maximum tells the best epoch."""

    loss: keras.losses.Loss
    metrics: list
    monitor: str


def objective(task, num_classes, *, label_smoothing=0.0):
    """The objective of a classifier that gives logits.

    For several labels an image each class is a decision of its own, by the sigmoid of its logit.

    Args:
        task: "classification", labels (B, K) that are shares of the classes; or "multi_label",
            labels (B, K) from 0 to 1 for each class.
        num_classes: K.
        label_smoothing: Part of each label that is spread: over all classes, or, for several
            labels, over present and absent.

    Returns:
        `Objective`.

    Raises:
        ValueError: If there is no such task.

    Example:

    >>> objective("multi_label", 20).monitor
    'val_mean_average_precision'
    """
    if task == "classification":
        return Objective(
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
            [ConfusionMatrix(num_classes, averages=("macro",))],
            "val_accuracy",
        )
    if task == "multi_label":
        return Objective(
            keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing),
            [MultiLabelAveragePrecision(num_classes)],
            "val_mean_average_precision",
        )
    raise ValueError(f"`task` must be 'classification' or 'multi_label', got {task!r}.")


PIXEL_LOSSES = ("cross-entropy", "focal", "dice", "cross-entropy-dice")


def pixel_objective(loss, num_classes, *, class_weights=None):
    """The objective of a segmenter that gives logits (B, H, W, K).

    Args:
        loss: "cross-entropy"; "focal", the same with a focal gamma of 2; "dice"; or
            "cross-entropy-dice", the sum of the two.
        num_classes: K.
        class_weights: K numbers, how much a pixel of each class counts in the cross-entropy.

    Returns:
        `Objective`.

    Raises:
        ValueError: If there is no such loss.

    Example:

    >>> pixel_objective("dice", 2).monitor
    'val_mean_iou'
    """
    if loss not in PIXEL_LOSSES:
        raise ValueError(f"`loss` must be one of {', '.join(PIXEL_LOSSES)}, got {loss!r}.")
    if loss == "dice":
        chosen = SoftDice()
    elif loss == "cross-entropy-dice":
        chosen = PixelCrossEntropyDice(class_weights)
    else:
        chosen = PixelCrossEntropy(class_weights, focal_gamma=2.0 if loss == "focal" else 0.0)
    return Objective(chosen, [SegmentationScores(num_classes)], "val_mean_iou")
