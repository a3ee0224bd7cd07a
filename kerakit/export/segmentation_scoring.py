"""Intersection over union of an export's masks."""

import math

from kerakit.metrics import SegmentationScores


def segmentation_figures(pairs, classes):
    """Figures of the pixels of the original images, all images' pixels counted together.

    Args:
        pairs: Iterable of the true and the answered mask of each image, uint8 (H, W).
        classes: K names.

    Returns:
        Dict by name: `images`, their number, the figures of `SegmentationScores` in float64, and
        `iou/NAME` and `dice/NAME` of each class that has a pixel.
    """
    scores = SegmentationScores(len(classes), classes=classes, from_scores=False, per_class=True)
    number = 0
    for truth, found in pairs:
        scores.update_state(truth[None], found[None])
        number += 1
    figures = {key: value for key, value in scores.figures().items() if not math.isnan(value)}
    return {"images": number, **figures}
