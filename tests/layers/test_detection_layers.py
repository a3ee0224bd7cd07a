import keras
import numpy as np
import pytest

from kerakit import layers, ops
from kerakit.weights import load_torchvision
from tests.golden import detection as cases
from tests.golden.detection import golden
from tests.golden.seeding import parameters


def pyramid_model(sizes):
    inputs = [
        keras.Input((*size, count)) for size, count in zip(sizes, cases.CHANNELS, strict=True)
    ]
    return keras.Model(inputs, layers.FeaturePyramid(5, name="fpn")(inputs))


@pytest.mark.parametrize("name", ["PYRAMID", "ODD_PYRAMID"])
def test_pyramid_is_torchvisions(name):
    sizes = getattr(cases, name)
    model = pyramid_model(sizes)
    shapes = {}
    for level, channels in enumerate(cases.CHANNELS):
        for block, shape in (("inner", (5, channels, 1, 1)), ("layer", (5, 5, 3, 3))):
            shapes[f"fpn.{block}_blocks.{level}.0.weight"] = shape
            shapes[f"fpn.{block}_blocks.{level}.0.bias"] = (5,)
    load_torchvision(model, parameters(shapes))
    outputs = model(cases.maps(f"fpn.{name}", sizes, cases.CHANNELS))
    assert len(outputs) == 4
    for level, (symbolic, found) in enumerate(zip(model.outputs, outputs, strict=True)):
        assert symbolic.shape[1:] == found.shape[1:]
        np.testing.assert_allclose(found, golden(f"{name}.{level}"), rtol=1e-4, atol=1e-5)


def test_pyramid_without_the_extra_level():
    maps = [keras.ops.ones((1, n, n, 3)) for n in (8, 4)]
    assert len(layers.FeaturePyramid(4, extra=False)(maps)) == 2


def test_pyramid_checks_its_arguments():
    with pytest.raises(ValueError, match="`filters` must be a positive integer, got 0"):
        layers.FeaturePyramid(0)
    with pytest.raises(ValueError, match="`features` must have sizes that are known, got"):
        layers.FeaturePyramid(4)([keras.Input((None, 8, 3))])


@pytest.mark.parametrize("layer", [layers.RoIAlign, layers.RoIPool])
def test_boxes_stay_exact_under_mixed_precision(layer):
    """In float16 a corner at 1001.25 would lie at 1001."""
    ramp = np.tile(np.arange(64, dtype="float32")[:, None, None] / 8, (1, 1, 64, 1))
    boxes = np.array([[[0.0, 1001.25, 160.0, 1023.0]]], "float32")
    exact = layer(2, scale=1 / 16)(ramp, boxes)
    mixed = layer(2, scale=1 / 16, dtype="mixed_float16")(ramp, boxes)
    assert keras.backend.standardize_dtype(mixed.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(mixed), exact, rtol=5e-4)


def test_align_of_a_pyramid_is_the_ops():
    maps, boxes = cases.maps("pyramid", cases.PYRAMID, (3,) * 3), cases.boxes("rois", 9)
    options = {"scales": (1 / 4, 1 / 8, 1 / 16), "canonical_size": 60, "aligned": True}
    found = layers.MultiScaleRoIAlign(3, **options)(maps, boxes)
    expected = ops.multi_level_roi_align(maps, boxes, output_size=3, **options)
    np.testing.assert_array_equal(found, expected)


def test_anchors_are_of_every_image():
    options = {"image_size": cases.IMAGE, **cases.ANCHORS["anchors"]}
    found = layers.AnchorGenerator(**options)(cases.maps("fpn", cases.PYRAMID, (1, 1, 1)))
    np.testing.assert_array_equal(found, np.stack([golden("anchors")] * 2))


def test_suppression_takes_classes():
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 4]]], "float32")
    layer, scores = layers.NonMaxSuppression(0.5, max_output=2), np.array([[0.2, 0.9]], "float32")
    assert int(layer(boxes, scores)[1][0]) == 1
    assert int(layer(boxes, scores, classes=np.array([[0, 1]]))[1][0]) == 2


def test_suppression_checks_its_arguments():
    with pytest.raises(ValueError, match=r"`iou_threshold` must be in \[0, 1\], got -0.1"):
        layers.NonMaxSuppression(-0.1)
    with pytest.raises(ValueError, match="`max_output` must be a positive integer, got 2.5"):
        layers.NonMaxSuppression(max_output=2.5)
