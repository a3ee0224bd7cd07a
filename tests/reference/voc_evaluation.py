"""Average precision as VOC's development kit computes it, by loops."""

import numpy as np


def voc_by_loop(y_true, y_pred, num_classes, *, masks=False):
    """Area under the curve and 11-point average of each class; -1 without an object to find.

    Flags of `crowd` are those of difficult objects.
    """
    areas, at_11_points = [], []
    for label in range(num_classes):
        candidates = []
        for row in np.argsort(y_true["example_id"]):
            for place, found in enumerate(y_pred["classes"][row]):
                if found == label:
                    candidates.append((-float(y_pred["scores"][row, place]), row, place))
        candidates.sort(key=lambda candidate: candidate[0])  # a stable sort
        is_class = y_true["labels"] == label
        objects = int(np.sum(is_class & ~y_true["crowd"]))
        taken, true, false, curve = set(), 0, 0, []
        for _, row, place in candidates:
            best, at = 0.0, None
            for other in np.flatnonzero(is_class[row]):
                if masks:
                    overlap = _mask_iou(y_pred["masks"][row, place], y_true["masks"][row, other])
                else:
                    overlap = _box_iou(y_pred["boxes"][row, place], y_true["boxes"][row, other])
                if overlap > best:
                    best, at = overlap, other
            if best >= 0.5:
                if y_true["crowd"][row, at]:
                    continue
                if (row, at) in taken:
                    false += 1
                else:
                    taken.add((row, at))
                    true += 1
            else:
                false += 1
            curve.append((true, true / (true + false)))
        if not objects:
            areas.append(-1.0)
            at_11_points.append(-1.0)
            continue
        area = 0.0
        for step in range(1, objects + 1):  # recall rises by 1 / objects at each
            reached = [precision for true, precision in curve if true >= step]
            area += max(reached, default=0.0) / objects
        areas.append(area)
        tenths = [
            max((p for true, p in curve if 10 * true >= tenth * objects), default=0.0)
            for tenth in range(11)
        ]
        at_11_points.append(sum(tenths) / 11)
    return areas, at_11_points


def _box_iou(one, other):
    one, other = [float(v) for v in one], [float(v) for v in other]
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _mask_iou(one, other):
    union = np.sum(one | other)
    return np.sum(one & other) / union if union else 0.0
