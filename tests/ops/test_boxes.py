import keras
import numpy as np
import pytest

from kerakit import gradients, ops
from tests.golden import detection as cases
from tests.golden.detection import golden

BOX = np.array([[10.0, 20.0, 40.0, 60.0]], "float32")
WRITTEN = {
    "xyxy": (10, 20, 40, 60),
    "xywh": (10, 20, 30, 40),
    "cxcywh": (25, 40, 30, 40),
    "yxyx": (20, 10, 60, 40),
}
EMPTY = np.array([[0, 0, 0, 0], [5, 5, 5, 5], [3, 4, 3, 9], [1, 1, 8, 1]], "float32")


def overlap_by_hand(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


@pytest.mark.parametrize("source", WRITTEN)
@pytest.mark.parametrize("target", WRITTEN)
def test_formats(source, target):
    found = ops.convert_boxes([WRITTEN[source]], source=source, target=target)
    np.testing.assert_array_equal(found, [WRITTEN[target]])


def test_formats_have_names():
    with pytest.raises(ValueError, match="`target` must be one of xyxy, .*, got 'rel_xyxy'"):
        ops.convert_boxes(BOX, source="xyxy", target="rel_xyxy")


def test_half_precision_is_left_at_once():
    large = np.array([[0, 0, 640, 640]], "float16")
    assert float(ops.box_area(large)[0]) == 640 * 640
    assert float(ops.pairwise_iou(large, large)[0, 0]) == 1


def test_clipped_to_each_image():
    boxes = np.array([[[-5, -5, 50, 50]], [[30, 30, 40, 40]]], "float32")
    found = ops.clip_boxes(boxes, np.array([[20, 30], [10, 60]], "int32"))
    np.testing.assert_array_equal(found, [[[0, 0, 30, 20]], [[30, 10, 40, 10]]])


def test_pairwise_is_torchvisions_and_the_loops():
    one, other = cases.boxes("one", 12)[0], cases.boxes("other", 12)[0]
    found = ops.pairwise_iou(one, other)
    np.testing.assert_allclose(found, golden("iou"), rtol=1e-5, atol=1e-7)
    loop = [[overlap_by_hand(a, b) for b in other] for a in one]
    np.testing.assert_allclose(found, loop, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_elementwise_is_torchvisions(kind):
    one, other = cases.boxes("one", 12)[0], cases.boxes("other", 12)[0]
    found = ops.elementwise_iou(one, other, kind=kind)
    np.testing.assert_allclose(found, golden(kind), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou"])
def test_elementwise_gradients(kind):
    one, other = (cases.boxes(n, 12)[0].astype("float64") for n in ("one", "other"))
    assert gradients.check(lambda x: ops.elementwise_iou(x, other, kind=kind), one).passed


def test_the_weight_of_the_shape_takes_no_gradient():
    one, other = (cases.boxes(n, 12)[0] for n in ("one", "other"))

    def shape_difference(x):
        slant = [keras.ops.arctan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (x, other)]
        return 4 / np.pi**2 * (slant[0] - slant[1]) ** 2

    v = np.asarray(shape_difference(one))
    alpha = v / (1 - np.asarray(ops.elementwise_iou(one, other)) + v)

    def with_constant_weight(x):
        return ops.elementwise_iou(x, other, kind="diou") - alpha * shape_difference(x)

    (found,) = gradients.gradient(lambda x: ops.elementwise_iou(x, other, kind="ciou"), one)
    (expected,) = gradients.gradient(with_constant_weight, one)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
def test_finite_for_boxes_of_no_area(kind):
    one, other = np.repeat(EMPTY, 4, axis=0), np.tile(EMPTY, (4, 1))

    def similarity(*boxes):
        return ops.elementwise_iou(*boxes, kind=kind)

    found = np.asarray(similarity(one, other))
    assert np.isfinite(found).all()
    assert found.max() <= 0
    for slope in gradients.gradient(similarity, one, other):
        assert np.isfinite(np.asarray(slope)).all()


def test_kinds_have_names():
    with pytest.raises(ValueError, match="`kind` must be one of iou, giou, .*, got 'siou'"):
        ops.elementwise_iou(BOX, BOX, kind="siou")


@pytest.mark.parametrize("name", cases.WEIGHTS)
def test_coding_is_torchvisions(name):
    one, other = cases.boxes("one", 12)[0], cases.boxes("other", 12)[0]
    weights = cases.WEIGHTS[name]
    encoded = ops.encode_boxes(one, other, weights=weights)
    np.testing.assert_allclose(encoded, golden(f"{name}.encoded"), rtol=2e-5, atol=1e-5)
    offsets = cases.drawn(f"{name}.offsets", (12, 4)) * 3
    decoded = ops.decode_boxes(offsets, other, weights=weights)
    np.testing.assert_allclose(decoded, golden(f"{name}.decoded"), rtol=1e-5, atol=1e-3)


def test_decoding_is_the_inverse():
    one, other = cases.boxes("one", 12), cases.boxes("other", 12)
    again = ops.decode_boxes(ops.encode_boxes(one, other), other)
    np.testing.assert_allclose(again, one, rtol=1e-4, atol=1e-3)


def test_growth_is_limited():
    decoded = ops.decode_boxes([[0.0, 0.0, 99.0, 99.0]], [[0.0, 0.0, 16.0, 16.0]])
    np.testing.assert_allclose(decoded, [[-492, -492, 508, 508]], rtol=1e-5)


def test_coding_of_padding_is_finite():
    with_box = np.repeat(np.concatenate([EMPTY, BOX]), 5, axis=0)
    other = np.tile(np.concatenate([EMPTY, BOX]), (5, 1))
    for slope in gradients.gradient(ops.encode_boxes, with_box, other):
        assert np.isfinite(np.asarray(slope)).all()
    assert np.isfinite(np.asarray(ops.encode_boxes(with_box, other))).all()


@pytest.mark.parametrize("name", cases.ANCHORS)
def test_anchors_are_torchvisions(name):
    found = ops.pyramid_anchors(cases.PYRAMID, image_size=cases.IMAGE, **cases.ANCHORS[name])
    np.testing.assert_array_equal(found, golden(name))


def test_anchors_of_an_odd_image_keep_whole_strides():
    found = ops.pyramid_anchors(
        [(3, 4)], image_size=(25, 33), sizes=[(10,)], aspect_ratios=[(1.0,)]
    )
    np.testing.assert_array_equal(found[5], [8 - 5, 8 - 5, 8 + 5, 8 + 5])


def test_grid_points_by_loop():
    points, strides = ops.grid_points([(2, 3), (1, 1)], image_size=(16, 24))
    expected = [((j + 0.5) * 8, (i + 0.5) * 8) for i in range(2) for j in range(3)]
    np.testing.assert_array_equal(points, [*expected, (12, 8)])
    np.testing.assert_array_equal(strides, [(8, 8)] * 6 + [(24, 16)])


def test_levels_are_as_many():
    with pytest.raises(ValueError, match="must be of as many levels, got 2, 1 and 2"):
        ops.pyramid_anchors([(2, 2), (1, 1)], image_size=(8, 8), sizes=[(4,)])


def test_grids_are_smaller_than_the_image():
    with pytest.raises(ValueError, match="at least as large as each grid, got .8, 8. for"):
        ops.grid_points([(9, 4)], image_size=(8, 8))


def test_double_precision_stays():
    with gradients.float64_scope():
        boxes = keras.ops.convert_to_tensor(BOX.astype("float64"), dtype="float64")
        for found in (ops.box_area(boxes), ops.pairwise_iou(boxes, boxes)):
            assert keras.backend.standardize_dtype(found.dtype) == "float64"
