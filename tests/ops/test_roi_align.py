import keras
import numpy as np
import pytest

from kerakit import gradients, ops
from tests.conformance.case import compiled
from tests.golden import detection as cases
from tests.golden.detection import golden
from tests.reference.detection import roi_align_by_loop, roi_pooling_by_loop

# A point in float32 is off by up to 1e-5 cells, and cells differ by up to 5.
ROUNDING = {"rtol": 1e-5, "atol": 3e-5}


def single():
    return cases.maps("single", cases.PYRAMID[:1], (3,))[0]


def both_forms(function):
    """The function as it is, and under XLA."""
    return [function, compiled(function)]


@pytest.mark.parametrize("name", cases.ALIGNED)
def test_is_torchvisions_forward_and_backward(name):
    boxes, options = cases.boxes("rois", 9), cases.ALIGNED[name]
    slopes = cases.drawn(f"{name}.slopes", (18, *options["output_size"], 3))

    def pooled(features):
        return ops.roi_align(features, boxes, scale=0.25, **options)

    def weighted(features):
        return keras.ops.reshape(pooled(features), slopes.shape) * slopes

    for run in both_forms(pooled):
        np.testing.assert_allclose(
            np.asarray(run(single())).reshape(slopes.shape), golden(name), **ROUNDING
        )
    for run in both_forms(lambda x: gradients.gradient(weighted, x)[0]):
        found = run(keras.ops.convert_to_tensor(single()))
        np.testing.assert_allclose(found, golden(f"{name}.gradient"), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("aligned", [False, True])
def test_is_the_loops(aligned):
    boxes = np.concatenate(
        [cases.boxes("rois", 4), np.zeros((2, 1, 4)), np.full((2, 1, 4), 60.0)], axis=1
    )
    options = {"output_size": (3, 2), "scale": 0.25, "sampling_ratio": 2, "aligned": aligned}
    found = ops.roi_align(single(), boxes, **options)
    for image, row in np.ndindex(2, 6):
        expected = roi_align_by_loop(single()[image], boxes[image, row], **options)
        np.testing.assert_allclose(found[image, row], expected, **ROUNDING)


def test_gradients():
    features = cases.maps("gradient", ((5, 6), (3, 3)), (2, 2))
    boxes = cases.boxes("gradient", 3) / 5
    report = gradients.check(
        lambda *maps: ops.multi_level_roi_align(
            list(maps), boxes, scales=(1 / 4, 1 / 8), output_size=2, canonical_size=50
        ),
        *(x.astype("float64") for x in features),
    )
    assert report.passed, str(report)


def test_boxes_take_no_gradient():
    boxes = cases.boxes("rois", 3)
    (slope,) = gradients.gradient(lambda b: ops.roi_align(single(), b, output_size=2), boxes)
    assert not np.asarray(slope).any()


def test_the_same_bits_on_every_run(rng):
    """Over equal boxes, whose threads would meet in every cell."""
    features = rng.normal(size=(1, 20, 20, 64)).astype("float32")
    boxes = np.tile(np.array([1.0, 2.0, 15.0, 17.0], "float32"), (1, 200, 1))
    slopes = rng.normal(size=(1, 200, 7, 7, 64)).astype("float32")

    def gradient():
        def weighted(x):
            return ops.roi_align(x, boxes, output_size=7) * slopes

        return np.asarray(gradients.gradient(weighted, features)[0])

    first = gradient()
    assert all(np.array_equal(first, gradient()) for _ in range(5))


def test_multi_level_is_torchvisions():
    features = cases.maps("pyramid", cases.PYRAMID, (3,) * 3)
    boxes = cases.boxes("rois", 9)
    for run in both_forms(
        lambda *maps: ops.multi_level_roi_align(
            list(maps), boxes, scales=(1 / 4, 1 / 8, 1 / 16), output_size=7, canonical_size=60
        )
    ):
        found = np.asarray(run(*features)).reshape(18, 7, 7, 3)
        np.testing.assert_allclose(found, golden("multi"), **ROUNDING)


def test_levels():
    sides = np.array([0.0, 1, 111.9, 112, 223.9, 224, 447.9, 448, 896, 1e5])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1).astype("float32")
    found = ops.roi_levels(boxes, scales=(1 / 4, 1 / 8, 1 / 16, 1 / 32))
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 2, 2, 3, 3, 3])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_box_of_nonsense_harms_no_other(bad):
    boxes = cases.boxes("rois", 3)
    expected = ops.roi_align(single(), boxes, output_size=2, scale=0.25)
    boxes[:, 1] = bad
    for run in both_forms(lambda b: ops.roi_align(single(), b, output_size=2, scale=0.25)):
        found = np.asarray(run(boxes))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[:, ::2], expected[:, ::2], **ROUNDING)


def test_no_boxes():
    assert ops.roi_align(single(), np.zeros((2, 0, 4)), output_size=2).shape == (2, 0, 2, 2, 3)


def test_half_precision_keeps_the_boxes():
    boxes = cases.boxes("rois", 3)
    exact = ops.roi_align(single(), boxes, output_size=2, scale=0.25)
    half = ops.roi_align(single().astype("float16"), boxes, output_size=2, scale=0.25)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(half), exact, rtol=1e-3, atol=2e-3)


def test_arguments_are_checked():
    boxes = np.zeros((2, 1, 4))
    with pytest.raises(ValueError, match="`sampling_ratio` must be a positive integer, got -1"):
        ops.roi_align(single(), boxes, output_size=2, sampling_ratio=-1)
    with pytest.raises(ValueError, match=r"`boxes` must be \(B, R, 4\), got shape \(1, 4\)"):
        ops.roi_align(single(), boxes[0], output_size=2)
    with pytest.raises(ValueError, match="`features` must be .B, H, W, C. with H, W and one C"):
        ops.roi_align(single()[0], boxes, output_size=2)
    with pytest.raises(ValueError, match="`scales` must be as many as the levels, got 2 for 1"):
        ops.multi_level_roi_align([single()], boxes, scales=(1, 2), output_size=2)
    with pytest.raises(ValueError, match="`scales` must be powers of 2, each half of the one"):
        ops.roi_levels(boxes, scales=(1 / 4, 1 / 16))


@pytest.mark.parametrize("name", cases.POOLED)
def test_pooling_is_torchvisions_and_the_loops(name):
    boxes, size = cases.inside(cases.boxes("rois", 9)), cases.POOLED[name]
    for run in both_forms(lambda x: ops.roi_pooling(x, boxes, output_size=size, scale=0.25)):
        found = np.asarray(run(single()))
        np.testing.assert_array_equal(found.reshape(18, *size, 3), golden(name))
    for image, row in np.ndindex(2, 9):
        expected = roi_pooling_by_loop(
            single()[image], boxes[image, row], output_size=size, scale=0.25
        )
        np.testing.assert_array_equal(found[image, row], expected)


def test_pooling_gradients():
    features = cases.maps("gradient", ((5, 6),), (2,))[0].astype("float64")
    boxes = cases.inside(cases.boxes("gradient", 3)) / 5
    report = gradients.check(
        lambda x: ops.roi_pooling(x, boxes, output_size=2, scale=0.25), features
    )
    assert report.passed, str(report)


def test_pooling_checks_its_arguments():
    with pytest.raises(ValueError, match=r"`features` must be \(B, H, W, C\), with|`features`"):
        ops.roi_pooling(single()[0], np.zeros((2, 1, 4)), output_size=2)
    with pytest.raises(ValueError, match=r"`boxes` must be \(B, R, 4\), got shape \(2, 4\)"):
        ops.roi_pooling(single(), np.zeros((2, 4)), output_size=2)
