"""Precision and recall as COCO counts them, by a library whose figures are pycocotools'."""

from dataclasses import dataclass

import numpy as np

from kerakit.extras import need
from kerakit.metrics.detection_columns import unpacked

SIZES = ("small", "medium", "large")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
NAMES = (
    "mAP",
    "mAP@50",
    "mAP@75",
    *(f"mAP/{size}" for size in SIZES),
    *("AR@1", "AR@10", "AR@100"),
    *(f"AR/{size}" for size in SIZES),
)

# Masks are unpacked this many at a time: at 640 x 640 that is 26 MB.
CHUNK = 64


def run_lengths(bits, mask_size):
    """COCO's run-length encoding of masks.

    Args:
        bits: (M, bytes) uint8 bits of the masks.
        mask_size: Their height and width.

    Returns:
        List of M dictionaries with `size` and `counts`.
    """
    encode = need("hotcoco", extra="coco").mask.encode
    runs = []
    for start in range(0, len(bits), CHUNK):
        masks = unpacked(bits[start : start + CHUNK], mask_size)
        runs += encode(masks.transpose(1, 2, 0))
    return runs


@dataclass(frozen=True)
class CocoPrecision:
    """Tables over T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 ranges of area
    (all, small, medium, large) and M = 3 numbers of detections (1, 10, 100 an image and class).

    Attributes:
        precision: (T, R, K, A, M), and -1 where a class has no object to find.
        recall: (T, K, A, M) highest recall.
        scores: (T, R, K, A, M) score from which on that recall is reached.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray

    def figures(self):
        """The 12 figures of COCO's summary by `NAMES`."""
        precision, recall = self.precision, self.recall
        values = [
            *(precision[..., 0, 2], precision[0, ..., 0, 2], precision[5, ..., 0, 2]),
            *(precision[..., area, 2] for area in (1, 2, 3)),
            *(recall[..., 0, most] for most in (0, 1, 2)),
            *(recall[..., area, 2] for area in (1, 2, 3)),
        ]
        return {name: _mean(value) for name, value in zip(NAMES, values, strict=True)}

    def of_class(self, label):
        """Mean precision of one class over thresholds and recalls."""
        return _mean(self.precision[:, :, label, 0, 2])

    def curve(self, label, iou_threshold):
        """Recall, precision and scores (101,) of one class, or None if it has no object."""
        place = int(np.argmin(np.abs(IOU_THRESHOLDS - iou_threshold)))
        precision = self.precision[place, :, label, 0, 2]
        if precision[0] < 0:
            return None
        return RECALLS, precision, self.scores[place, :, label, 0, 2]


def _mean(values):
    """Mean of what was scored; -1 if nothing was, as pycocotools says it."""
    scored = values[values > -1]
    return float(np.mean(scored)) if scored.size else -1.0


def coco_precision(truth, detections, *, num_classes, mask_size=None):
    """Matches detections with objects as COCO does.

    The matching is that of the package hotcoco, whose tables equal pycocotools' bit for bit
    at a hundredth of its time, and which takes arrays, where the other fast evaluators take
    a Python dictionary a box.

    Args:
        truth: `Column`; extra holds the crowd flag and the area, which is negative where it
            is that of the box or mask.
        detections: `Column`; extra holds the score. Its area is that of the box or mask.
        num_classes: K.
        mask_size: Height and width of the masks; None compares boxes.

    Returns:
        A `CocoPrecision`.
    """
    hotcoco = need("hotcoco", extra="coco")
    crowd, area = truth.extra[:, 0].astype("int64"), truth.extra[:, 1]
    true_runs = runs = None
    if mask_size is None:
        own_area = truth.size.prod(axis=1)
    else:
        true_runs = run_lengths(truth.mask, mask_size)
        runs = run_lengths(detections.mask, mask_size)
        own_area = _mask_areas(true_runs)
    images = np.union1d(truth.image, detections.image)
    known = hotcoco.COCO.from_arrays(
        [{"id": int(image)} for image in images],
        [{"id": label, "name": str(label)} for label in range(num_classes)],
        truth.image,
        truth.label,
        np.concatenate([truth.box[:, :2], truth.size], axis=1),
        area=np.where(area < 0, own_area, area),
        iscrowd=crowd,
        segmentation=true_runs,
    )
    found = np.column_stack(
        [detections.image, detections.box[:, :2], detections.size, detections.extra[:, 0]]
    )
    found = known.load_res(np.column_stack([found, detections.label]), segmentation=runs)
    if runs:
        found.update_anns(ids=np.arange(1, len(runs) + 1), area=_mask_areas(runs))
    evaluation = hotcoco.COCOeval(known, found, "bbox" if mask_size is None else "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    tables = evaluation.eval
    return CocoPrecision(*(np.asarray(tables[key]) for key in ("precision", "recall", "scores")))


def _mask_areas(runs):
    mask = need("hotcoco", extra="coco").mask
    return np.asarray(mask.area(runs), "float64") if runs else np.zeros(0)
