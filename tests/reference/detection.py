"""Detection's operations by loops, one box, bin and sample at a time."""

import math

import numpy as np


def suppressed_by_loop(
    boxes, scores, *, iou_threshold, max_output, score_threshold=-math.inf, classes=None
):
    """Rows that greedy non-maximum suppression keeps, best first, in float32."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        rivals = kept if classes is None else [j for j in kept if classes[j] == classes[i]]
        if scores[i] > score_threshold and not any(
            _iou(boxes[i], boxes[j]) > iou_threshold for j in rivals
        ):
            kept.append(i)
    return kept[:max_output]


def _iou(a, b):
    width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]))
    height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def bilinear(features, y, x):
    """The feature vector at a point of an (H, W, C) map, in cells; 0 a cell outside it."""
    height, width = features.shape[:2]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(features.shape[2])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = (1 - (x - left)) * features[top, left] + (x - left) * features[top, right]
    lower = (1 - (x - left)) * features[bottom, left] + (x - left) * features[bottom, right]
    return (1 - (y - top)) * upper + (y - top) * lower


def roi_align_by_loop(features, box, *, output_size, scale, sampling_ratio=None, aligned=False):
    """(rows, columns, C) of one box; without a sampling ratio ceil(size / bins) an axis."""
    x1, y1, x2, y2 = (float(v) * scale - (0.5 if aligned else 0) for v in box)
    sides = [y2 - y1, x2 - x1]
    if not aligned:
        sides = [max(side, 1.0) for side in sides]
    counts = [
        sampling_ratio or math.ceil(side / bins)
        for side, bins in zip(sides, output_size, strict=True)
    ]
    y = np.zeros((*output_size, features.shape[2]))
    for row, column in np.ndindex(*output_size):
        for i, j in np.ndindex(*counts):
            down = y1 + sides[0] / output_size[0] * (row + (i + 0.5) / counts[0])
            across = x1 + sides[1] / output_size[1] * (column + (j + 0.5) / counts[1])
            y[row, column] += bilinear(features, down, across) / (counts[0] * counts[1])
    return y


def roi_pooling_by_loop(features, box, *, output_size, scale):
    """(rows, columns, C) of one box that lies in the image."""
    height, width = features.shape[:2]
    x1, y1, x2, y2 = (math.floor(float(v) * scale + 0.5) for v in box)
    y = np.zeros((*output_size, features.shape[2]))
    for row, column in np.ndindex(*output_size):
        bounds = []
        for start, end, length, part, bins in (
            (y1, y2, height, row, output_size[0]),
            (x1, x2, width, column, output_size[1]),
        ):
            cells = max(end - start + 1, 1)
            last = start - (-(part + 1) * cells // bins)
            bounds.append(slice(start + part * cells // bins, min(last, length)))
        y[row, column] = features[bounds[0], bounds[1]].max(axis=(0, 1), initial=-np.inf)
    y[np.isinf(y)] = 0.0  # a bin without a cell
    return y
