import keras
import numpy as np
import pytest

from kerakit.ops import non_max_suppression
from kerakit.ops.non_max_suppression import _by_tiles
from tests.conformance.case import compiled
from tests.golden.detection import crowded_boxes, golden
from tests.reference.detection import suppressed_by_loop


def crowd(rng, count, *, batch=2):
    """Boxes around each other, a part of no area, and scores of which many are equal."""
    corner, side = rng.uniform(0, 60, (batch, count, 2)), rng.uniform(0, 30, (batch, count, 2))
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    boxes[:, ::7, 2:] = boxes[:, ::7, :2]
    return boxes, np.round(rng.uniform(size=(batch, count)), 2).astype("float32")


def assert_is_the_loops(found, boxes, scores, options, classes=None):
    indices, num_valid = map(np.asarray, found)
    for image in range(len(boxes)):
        kinds = None if classes is None else classes[image]
        expected = suppressed_by_loop(boxes[image], scores[image], classes=kinds, **options)
        assert num_valid[image] == len(expected)
        np.testing.assert_array_equal(indices[image, : len(expected)], expected)
        assert (indices[image, len(expected) :] == 0).all()


@pytest.mark.parametrize("count", [1, 300, 600])
@pytest.mark.parametrize("max_output", [40, 500])
@pytest.mark.parametrize("under_xla", [False, True])
def test_is_the_loops(count, max_output, under_xla, rng):
    boxes, scores = crowd(rng, count)
    options = {"iou_threshold": 0.4, "max_output": max_output, "score_threshold": 0.05}

    def run(boxes, scores):
        return non_max_suppression(boxes, scores, **options)

    run = compiled(run) if under_xla else run
    assert_is_the_loops(run(boxes, scores), boxes, scores, options)


@pytest.mark.parametrize("under_xla", [False, True])
def test_classes_do_not_meet(under_xla, rng):
    boxes, scores = crowd(rng, 300)
    classes = rng.integers(0, 3, scores.shape).astype("int32")
    options = {"iou_threshold": 0.4, "max_output": 150}

    def run(boxes, scores, classes):
        return non_max_suppression(boxes, scores, classes=classes, **options)

    run = compiled(run) if under_xla else run
    assert_is_the_loops(run(boxes, scores, classes), boxes, scores, options, classes)


def test_both_forms_without_xla(rng):
    boxes, scores = crowd(rng, 400)
    options = {"iou_threshold": 0.6, "max_output": 300}
    found = non_max_suppression(boxes, scores, **options)
    tiles = _by_tiles(*map(keras.ops.convert_to_tensor, (boxes, scores)), None, 0.6, 300)
    for one, other in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(one, other)


def test_is_torchvisions():
    boxes, scores = crowded_boxes("crowd", 90)
    indices, num_valid = non_max_suppression(boxes, scores, iou_threshold=0.5, max_output=90)
    np.testing.assert_array_equal(indices[0][: num_valid[0]], golden("nms"))
    classes = np.arange(90)[None] % 3
    indices, num_valid = non_max_suppression(
        boxes, scores, iou_threshold=0.5, max_output=90, classes=classes
    )
    assert set(np.asarray(indices[0])[: num_valid[0]]) == set(golden("nms_classes"))


@pytest.mark.parametrize("classes", [None, np.zeros((2, 3), "int32")])
@pytest.mark.parametrize("under_xla", [False, True])
def test_nothing_to_keep(classes, under_xla):
    boxes = np.zeros((2, 3, 4), "float32")
    scores = np.array([[-np.inf] * 3, [np.nan, -np.inf, -5.0]], "float32")

    def run(boxes, scores):
        return non_max_suppression(boxes, scores, iou_threshold=0.5, max_output=2, classes=classes)

    indices, num_valid = (compiled(run) if under_xla else run)(boxes, scores)
    np.testing.assert_array_equal(num_valid, [0, 1])
    np.testing.assert_array_equal(indices, [[0, 0], [2, 0]])


def test_iou_at_the_threshold_is_kept():
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 2]]], "float32")  # IoU 0.5
    _, num_valid = non_max_suppression(boxes, [[0.9, 0.8]], iou_threshold=0.5, max_output=2)
    assert int(num_valid[0]) == 2


def test_arguments_are_checked():
    boxes, scores = np.zeros((1, 2, 4)), np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"`iou_threshold` must be in \[0, 1\], got 1.5"):
        non_max_suppression(boxes, scores, iou_threshold=1.5, max_output=2)
    with pytest.raises(ValueError, match="`max_output` must be a positive integer, got 0"):
        non_max_suppression(boxes, scores, iou_threshold=0.5, max_output=0)
    with pytest.raises(ValueError, match=r"must be \(B, N, 4\) and \(B, N\), got shapes \(2, 4\)"):
        non_max_suppression(boxes[0], scores, iou_threshold=0.5, max_output=2)
