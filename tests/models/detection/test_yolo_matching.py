"""Cells and objects of YOLO, against loops written from the paper."""

import numpy as np
import pytest
from keras import ops

from kerakit.models.detection.task_aligned_matching import points_in_boxes, task_aligned_matching
from kerakit.ops import grid_points
from tests.conformance.case import compiled

GRIDS, SIZE = [(8, 12), (4, 6), (2, 3)], (64, 96)
NUM_CELLS = 96 + 24 + 6


def iou_of(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return shared / (sum(areas) - shared) if shared > 0 else 0.0


def matching_by_loop(logits, boxes, points, truth, labels, *, top, alpha, beta, least_side):
    """One image, one object, one cell at a time, in float64."""
    num_classes = logits.shape[-1]
    matches, targets = np.full(len(boxes), -1), np.zeros(len(boxes))
    best_iou, aligned = np.zeros(len(boxes)), {}
    for row, (box, label) in enumerate(zip(truth, labels, strict=True)):
        if not 0 <= label < num_classes or box[2] <= box[0] or box[3] <= box[1]:
            continue
        x1, y1, x2, y2 = box
        half = [max(x2 - x1, least_side) / 2, max(y2 - y1, least_side) / 2]
        middle = [(x1 + x2) / 2, (y1 + y2) / 2]
        found = []
        for cell, point in enumerate(points):
            inside = all(m - h <= p < m + h for m, h, p in zip(middle, half, point, strict=True))
            overlap = iou_of(boxes[cell], box)
            if inside and overlap > 0:
                score = 1 / (1 + np.exp(-logits[cell, label]))
                found.append((score**alpha * overlap**beta, overlap, cell))
        for t, overlap, cell in sorted(found, key=lambda f: -f[0])[:top]:
            aligned[row, cell] = t
            if overlap > best_iou[cell]:
                best_iou[cell], matches[cell] = overlap, row
    for row in range(len(truth)):
        own = [cell for cell in range(len(boxes)) if matches[cell] == row]
        if own:
            highest = max(aligned[row, cell] for cell in own)
            highest_iou = max(best_iou[cell] for cell in own)
            for cell in own:
                targets[cell] = aligned[row, cell] / highest * highest_iou
    return matches, targets


def scene(rng, *, batch=3, num_objects=9, num_classes=4):
    points, strides = (ops.convert_to_numpy(x) for x in grid_points(GRIDS, image_size=SIZE))
    corner = rng.uniform(0, 50, (batch, num_objects, 2))
    truth = np.concatenate([corner, corner + rng.uniform(3, 45, corner.shape)], -1)
    labels = rng.integers(-1, num_classes + 1, (batch, num_objects))
    truth[0, 0, 2:] = truth[0, 0, :2]  # no area
    reach = rng.uniform(0, 3, (batch, NUM_CELLS, 4)) * np.tile(strides, 2)
    boxes = np.tile(points, 2) + reach * [-1, -1, 1, 1]
    return {
        "class_logits": rng.normal(size=(batch, NUM_CELLS, num_classes)).astype("float32") * 3,
        "boxes": boxes.astype("float32"),
        "points": points,
        "truth_boxes": truth.astype("float32"),
        "labels": labels.astype("int32"),
    }


def matched(values, **options):
    values = dict(values)
    logits, boxes = values.pop("class_logits"), values.pop("boxes")
    found = task_aligned_matching(logits, boxes, **values, **options)
    return tuple(ops.convert_to_numpy(x) for x in found)


@pytest.mark.parametrize(
    "options",
    [
        {"top": 13, "alpha": 1.0, "beta": 6.0, "least_side": 8.0},
        {"top": 4, "alpha": 0.5, "beta": 2.0, "least_side": 0.0},
    ],
)
def test_equals_the_loop(options, rng):
    values = scene(rng)
    matches, targets = matched(values, **options)
    wanted = []
    for image in range(3):
        logits, boxes, truth, labels = (
            values[name][image].astype("float64")
            for name in ("class_logits", "boxes", "truth_boxes", "labels")
        )
        expected = matching_by_loop(
            logits, boxes, values["points"], truth, labels.astype(int), **options
        )
        np.testing.assert_array_equal(matches[image], expected[0])
        np.testing.assert_allclose(targets[image], expected[1], rtol=1e-4, atol=1e-6)
        wanted.append(expected[0])
    assert len(np.unique(wanted)) > 6  # several objects are found


def test_is_the_same_under_xla(rng):
    values = scene(rng)
    points = values.pop("points")

    def match(class_logits, boxes, truth_boxes, labels):
        return task_aligned_matching(
            class_logits, boxes, points=points, truth_boxes=truth_boxes, labels=labels
        )

    found = compiled(match)(*(ops.convert_to_tensor(v) for v in values.values()))
    matches, targets = matched({**values, "points": points})
    np.testing.assert_array_equal(ops.convert_to_numpy(found[0]), matches)
    np.testing.assert_allclose(ops.convert_to_numpy(found[1]), targets, rtol=1e-5, atol=1e-6)


def test_an_objects_highest_target_is_its_highest_iou(rng):
    values = scene(rng, batch=1, num_objects=5)
    values["labels"] = np.arange(5, dtype="int32")[None] % 4
    values["truth_boxes"][0, 0] = [20, 30, 70, 60]
    matches, targets = matched(values)
    rows = set(matches[0]) - {-1}
    assert len(rows) > 1
    for row in rows:
        overlaps = [
            iou_of(values["boxes"][0, cell], values["truth_boxes"][0, row])
            for cell in np.flatnonzero(matches[0] == row)
        ]
        highest = targets[0, matches[0] == row].max()
        assert highest == pytest.approx(max(overlaps), rel=1e-5)


def test_powers_of_small_overlaps_are_not_lost(rng):
    """0.001^20 is 0 in float32; the object has its cells all the same."""
    values = scene(rng, batch=1, num_objects=1)
    values["labels"][:] = 1
    values["truth_boxes"][:] = [10.0, 10.0, 50.0, 50.0]
    centre = np.tile(values["points"], 2)[None]
    values["boxes"] = (centre + np.array([-0.6, -0.6, 0.6, 0.6])).astype("float32")
    values["class_logits"] -= 40.0
    matches, targets = matched(values, beta=20.0)
    assert (matches >= 0).sum() == 13
    assert targets.max() == pytest.approx(1.44 / 1600, rel=1e-3)


def test_a_box_smaller_than_a_cell_has_a_cell(rng):
    values = scene(rng, batch=1, num_objects=1)
    values["labels"][:] = 0
    values["truth_boxes"][:] = [8.5, 8.5, 11.0, 10.5]  # holds no cell's centre
    inside = points_in_boxes(values["points"], ops.convert_to_tensor(values["truth_boxes"]))
    assert not ops.convert_to_numpy(inside).any()
    matches, _ = matched(values)
    assert matches[0, 13] == 0  # the cell of row 1, column 1
    matches, _ = matched(values, least_side=0.0)
    assert (matches == -1).all()


def test_without_objects_nothing_is_matched(rng):
    values = scene(rng)
    values["labels"][:] = -1
    matches, targets = matched(values)
    assert (matches == -1).all()
    assert (targets == 0).all()


def test_targets_have_no_gradient(rng):
    from kerakit import gradients

    values = scene(rng, batch=1)
    rest = {name: values[name] for name in ("points", "truth_boxes", "labels")}

    def total(class_logits, boxes):
        return ops.sum(task_aligned_matching(class_logits, boxes, **rest)[1])

    slopes = gradients.gradient(total, values["class_logits"], values["boxes"])
    assert all((ops.convert_to_numpy(slope) == 0).all() for slope in slopes)
