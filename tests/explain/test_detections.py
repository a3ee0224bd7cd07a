import numpy as np
import pytest
from keras import ops

from kerakit import explain
from kerakit.explain.calls import run
from kerakit.explain.explained import explained
from kerakit.explain.map_layers import chosen_maps
from kerakit.models import detection
from tests.explain.networks import pixels


@pytest.fixture(scope="module")
def yolo():
    return detection.yolo_n(input_shape=(64, 64, 3), num_classes=2, width=0.25)


@pytest.mark.slow
def test_the_score_is_that_of_the_rank(yolo):
    images = pixels(2, 64, 64, 3)
    found = yolo.predict(images, verbose=0)
    heat = explain.hires_cam(yolo, images, target=explain.Detection(3))
    np.testing.assert_allclose(heat.scores, found["scores"][:, 3], rtol=1e-4)
    np.testing.assert_allclose(heat.boxes, found["boxes"][:, 3], atol=1e-2)
    assert list(heat.classes) == list(found["classes"][:, 3])


def test_the_map_sums_to_what_a_larger_map_adds_to_the_score(yolo):
    """Of `relu(sum of A g)` the sum before the ReLU is the derivative along A."""
    images = pixels(1, 64, 64, 3)
    found = explained(yolo, images, explain.Detection(0))
    maps = chosen_maps(found, None)
    slopes = found.by_maps(maps)
    derivative = sum(
        float(ops.sum(tensor * slope))
        for (_, tensors), gradients in zip(maps, slopes, strict=True)
        for tensor, slope in zip(tensors, gradients, strict=True)
    )
    # The logit of the score, which is all but linear over so small a step.
    logits = []
    for step in (0.02, -0.02):
        added = [(called, [step * x for x in tensors]) for called, tensors in maps]
        scores = run(yolo, found.pixels, added=added)["scores"]
        logits.append(float(scores[0, 0]))
    assert derivative == pytest.approx((logits[0] - logits[1]) / 0.04, rel=0.05)


def test_hires_cam_lies_where_the_detection_looks(yolo):
    """A head's convolutions see two cells around; nothing farther adds to the score."""
    images = pixels(1, 64, 64, 3)
    heat = explain.hires_cam(yolo, images, target=explain.Detection(0))
    left, top, right, bottom = heat.boxes[0]
    for raw in heat.raw:
        rows, columns = np.nonzero(raw[0])
        if len(rows):
            assert np.ptp(rows) <= 4
            assert np.ptp(columns) <= 4
    assert sum(bool(raw.any()) for raw in heat.raw) <= 1
    assert left < right
    assert top < bottom


def test_where_there_is_no_detection_there_is_no_map():
    model = detection.yolo_n(
        input_shape=(64, 64, 3), num_classes=2, width=0.25, score_threshold=0.9
    )
    heat = explain.hires_cam(model, pixels(1, 64, 64, 3))
    assert not heat.values.any()
    assert heat.scores.tolist() == [0]
    assert heat.classes.tolist() == [-1]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, r"`target` must be None, explain.Detection\(index\) or a function .*, got 3"),
        (explain.Detection(300), "`index` must be a rank from 0 to 299, got 300"),
    ],
)
def test_target_of_a_detector(yolo, target, message):
    with pytest.raises(ValueError, match=message):
        explain.grad_cam(yolo, pixels(1, 64, 64, 3), target=target)
