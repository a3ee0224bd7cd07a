"""Precision and recall as PASCAL VOC counts them."""

import numpy as np

from kerakit.extras import need
from kerakit.metrics.coco_precision import run_lengths

IOU_THRESHOLD = 0.5
NAMES = ("mAP", "mAP/11-point")


class VocPrecision:
    """Curves of each class.

    Attributes:
        curves: A list with an item a class: None where it has no object to find, else
            (true positives, recall, precision, scores), each (M,), by falling score.
        num_objects: List with the number of objects to find of each class.
    """

    def __init__(self, curves, num_objects):
        self.curves = curves
        self.num_objects = num_objects

    def figures(self):
        """Mean over the classes that have objects, by `NAMES`; -1 if none has."""
        scored = [label for label, curve in enumerate(self.curves) if curve is not None]
        if not scored:
            return dict.fromkeys(NAMES, -1.0)
        rules = zip(NAMES, (self.of_class, self._at_11_points), strict=True)
        return {name: float(np.mean([rule(label) for label in scored])) for name, rule in rules}

    def of_class(self, label):
        """Area under the monotone precision-recall curve of a class; -1 if it has no object."""
        if self.curves[label] is None:
            return -1.0
        _, recall, precision, _ = self.curves[label]
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * highest))

    def _at_11_points(self, label):
        true, _, precision, _ = self.curves[label]
        # In whole numbers: 3 of 10 is a recall of 0.3, whatever 3 * 0.1 comes out as.
        reached = [10 * true >= tenth * self.num_objects[label] for tenth in range(11)]
        return sum(float(precision[at].max(initial=0.0)) for at in reached) / 11

    def curve(self, label, iou_threshold):
        """Recall, precision and scores of one class, or None if it has no object."""
        assert iou_threshold == IOU_THRESHOLD
        return None if self.curves[label] is None else self.curves[label][1:]


def voc_precision(truth, detections, *, num_classes, mask_size=None):
    """Matches detections with objects as the VOC development kit does.

    A detection belongs to the object of its image and class that it overlaps most, the first
    of equals. It is right if they overlap by 0.5 and no detection before it, by falling score,
    was right about that object; it does not count if that object is difficult.

    Args:
        truth: `Column`; extra holds the flag of difficult objects.
        detections: `Column`; extra holds the score. Equal scores keep their order.
        num_classes: K.
        mask_size: Height and width of the masks; None compares boxes.

    Returns:
        A `VocPrecision`.
    """
    difficult = truth.extra[:, 0] > 0
    best, overlap = _best_objects(truth, detections, mask_size)
    hit = overlap >= IOU_THRESHOLD
    counts = ~hit | ~difficult[best] if len(difficult) else ~hit
    scores = detections.extra[:, 0]
    curves, num_objects = [], []
    for label in range(num_classes):
        num_objects.append(int(np.sum(~difficult[truth.label == label])))
        of_class = np.flatnonzero((detections.label == label) & counts)
        of_class = of_class[np.argsort(-scores[of_class], kind="stable")]
        _, first = np.unique(np.where(hit, best, -1)[of_class], return_index=True)
        right = np.zeros(len(of_class), bool)
        right[first] = True
        true = np.cumsum(right & hit[of_class])
        curve = (
            true,
            true / max(num_objects[label], 1),
            true / np.arange(1, len(true) + 1),
            scores[of_class],
        )
        curves.append(curve if num_objects[label] else None)
    return VocPrecision(curves, num_objects)


def _best_objects(truth, detections, mask_size):
    """For each detection the object it overlaps most, as its place in `truth`, and the IoU."""
    best = np.zeros(len(detections.image), "int64")
    overlap = np.full(len(detections.image), -1.0)
    if mask_size is not None:
        true_runs, runs = (run_lengths(side.mask, mask_size) for side in (truth, detections))
    for image in np.intersect1d(truth.image, detections.image):
        there = slice(*np.searchsorted(truth.image, [image, image + 1]))
        here = slice(*np.searchsorted(detections.image, [image, image + 1]))
        if mask_size is None:
            ious = _box_ious(detections.box[here], truth.box[there])
        else:
            mask = need("hotcoco", extra="coco").mask
            ious = mask.iou(runs[here], true_runs[there], [0] * (there.stop - there.start))
        ious = np.where(detections.label[here, None] == truth.label[there], ious, -1.0)
        best[here] = np.argmax(ious, axis=1) + there.start
        overlap[here] = np.max(ious, axis=1)
    return best, overlap


def _box_ious(boxes, others):
    corner = np.maximum(boxes[:, None, :2], others[:, :2])
    common = np.minimum(boxes[:, None, 2:], others[:, 2:]) - corner
    common = np.prod(np.maximum(common, 0.0), axis=-1)
    areas = [np.prod(side[:, 2:] - side[:, :2], axis=-1) for side in (boxes, others)]
    union = areas[0][:, None] + areas[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
