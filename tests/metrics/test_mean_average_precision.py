"""Every figure is pycocotools' or that of a loop that follows VOC's development kit."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.extras import MissingExtraError
from kerakit.metrics import MeanAveragePrecision
from kerakit.metrics.detection_columns import unpacked
from kerakit.metrics.detection_rows import packed_masks
from tests.conformance.case import compiled
from tests.reference.detection_sets import (
    annotations,
    evaluated_by_pycocotools,
    random_set,
)
from tests.reference.voc_evaluation import voc_by_loop

pytest.importorskip("hotcoco")
SIZE = (190, 210)
COCO = ("mAP", "mAP@50", "mAP@75", "mAP/small", "mAP/medium", "mAP/large")
COCO += ("AR@1", "AR@10", "AR@100", "AR/small", "AR/medium", "AR/large")


def metric_of(y_true, num_classes, *, masks=False, **options):
    kind = {"iou_type": "segm", "mask_size": SIZE} if masks else {}
    # More room than a batch has: the rest is padding.
    room = {"max_boxes": 9, "max_detections": 15}
    rows = len(y_true["labels"]) + 1
    return MeanAveragePrecision(num_classes, rows, **room, **kind, **options)


def updated(metric, y_true, y_pred, *, batch_size=3):
    """The metric after the batches of a set."""
    for start in range(0, len(y_true["labels"]), batch_size):
        batch = slice(start, start + batch_size)
        metric.update_state(
            {name: value[batch] for name, value in y_true.items()},
            {name: value[batch] for name, value in y_pred.items()},
        )
    return metric


def by_pycocotools(y_true, y_pred, num_classes, *, masks=False):
    known, found = annotations(y_true, y_pred, masks=masks)
    images = y_true["example_id"]
    return evaluated_by_pycocotools(
        known, found, images=images, num_classes=num_classes, size=SIZE, masks=masks
    )


def assert_equals_pycocotools(seed, *, masks):
    y_true, y_pred, num_classes = random_set(np.random.default_rng(seed), size=SIZE, masks=masks)
    metric = metric_of(y_true, num_classes, masks=masks, per_class=True)
    figures = updated(metric, y_true, y_pred).result()
    expected = by_pycocotools(y_true, y_pred, num_classes, masks=masks)
    assert tuple(figures)[:12] == COCO
    np.testing.assert_allclose(
        list(figures.values())[:12], expected.stats, rtol=0, atol=1e-9, err_msg=f"set {seed}"
    )
    for label in range(num_classes):
        precision = expected.eval["precision"][:, :, label, 0, 2]
        mean = np.mean(precision) if precision[0, 0] >= 0 else -1
        assert figures[f"AP/{label}"] == pytest.approx(mean, abs=1e-9)
    return figures


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_equals_pycocotools(masks):
    found = [assert_equals_pycocotools(seed, masks=masks) for seed in range(12)]
    # The sets hold what they are for: objects of every size, and figures in between.
    for name in COCO:
        assert any(0 < figures[name] < 1 for figures in found), name


@pytest.mark.slow
@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_equals_pycocotools_on_200_sets(masks):
    for seed in range(100, 300):
        assert_equals_pycocotools(seed, masks=masks)


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_areas_that_are_not_annotated_are_those_of_box_or_mask(masks):
    y_true, y_pred, num_classes = random_set(np.random.default_rng(3), size=SIZE, masks=masks)
    if masks:
        own = y_true["masks"].sum((2, 3))
    else:
        own = np.prod(y_true["boxes"][..., 2:].astype("float64") - y_true["boxes"][..., :2], -1)
    expected = by_pycocotools({**y_true, "area": own}, y_pred, num_classes, masks=masks)
    without = {name: value for name, value in y_true.items() if name != "area"}
    for targets in (without, {**y_true, "area": np.full(own.shape, -1.0)}):
        metric = metric_of(y_true, num_classes, masks=masks)
        figures = updated(metric, targets, y_pred).result()
        np.testing.assert_allclose(list(figures.values()), expected.stats, rtol=0, atol=1e-9)


@pytest.mark.parametrize("style", ["coco", "voc"])
def test_the_order_of_the_data_makes_no_difference(style):
    """Though scores tie: images are taken in the order of their ids, as pycocotools does."""
    changed = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y_true, y_pred, num_classes = random_set(rng, size=SIZE)
        y_pred["scores"] = y_pred["scores"].round(1)
        order = rng.permutation(len(y_true["labels"]))
        expected = updated(metric_of(y_true, num_classes, style=style), y_true, y_pred).result()
        shuffled = [{k: v[order] for k, v in side.items()} for side in (y_true, y_pred)]
        metric = metric_of(y_true, num_classes, style=style)
        assert updated(metric, *shuffled, batch_size=2).result() == expected
        # Other ids are another order of equal scores, and that may be another figure.
        other = {**y_true, "example_id": order}
        result = updated(metric_of(y_true, num_classes, style=style), other, y_pred).result()
        changed += result != expected
    assert changed


def test_parts_merge_into_the_whole_and_replicas_may_be_added():
    y_true, y_pred, num_classes = random_set(np.random.default_rng(5), size=SIZE, masks=True)
    assert len(y_true["labels"]) > 3
    whole = updated(metric_of(y_true, num_classes, masks=True), y_true, y_pred).result()
    parts = [metric_of(y_true, num_classes, masks=True) for _ in range(3)]
    for part, rows in zip(parts, (slice(0, 2), slice(2, 3), slice(3, None)), strict=True):
        part.update_state(*({k: v[rows] for k, v in side.items()} for side in (y_true, y_pred)))
    parts[0].merge_state(parts[1:])
    assert parts[0].result() == whole


def padded_anyhow(y_true, y_pred, rng):
    """The same set with more rows of padding, full of nonsense."""
    more = rng.normal(size=(len(y_true["labels"]), 2, 4)).astype("float32") * 50
    y_true = {name: y_true[name] for name in ("boxes", "labels", "area", "crowd", "example_id")}
    nonsense = {"boxes": more, "labels": [9, -7], "area": [5.0, np.nan], "crowd": [True, False]}
    for name, value in nonsense.items():
        value = np.broadcast_to(np.asarray(value), more.shape[: y_true[name].ndim])
        y_true[name] = np.concatenate([y_true[name], value.astype(y_true[name].dtype)], axis=1)
    extra = {"boxes": more[:, :1], "scores": np.ones_like(more[:, :1, 0]), "classes": [[4]]}
    y_pred = {
        name: np.concatenate(
            [np.broadcast_to(np.asarray(extra[name]), value[:, :1].shape), value], axis=1
        )
        for name, value in y_pred.items()
    }
    return y_true, y_pred


def test_padding_is_left_out():
    rng = np.random.default_rng(6)
    y_true, y_pred, num_classes = random_set(rng, size=SIZE)
    expected = updated(metric_of(y_true, num_classes), y_true, y_pred).result()
    more_true, more_pred = padded_anyhow(y_true, y_pred, rng)
    assert updated(metric_of(y_true, num_classes), more_true, more_pred).result() == expected
    # Whole images: of weight 0, and of negative ids.
    doubled = [
        {k: np.concatenate([v, v[::-1]]) for k, v in side.items()} for side in (y_true, y_pred)
    ]
    count = len(y_true["labels"])
    metric = metric_of(y_true, num_classes)
    metric.update_state(*doubled, sample_weight=np.r_[np.ones(count), np.zeros(count)])
    assert metric.result() == expected
    doubled[0]["example_id"][count:] = -1
    metric.reset_state()
    metric.update_state(*doubled)
    assert metric.result() == expected


def test_detections_that_do_not_count():
    y_true, y_pred, num_classes = random_set(np.random.default_rng(7), size=SIZE)
    count = np.random.default_rng(0).integers(0, 15, len(y_true["labels"]))
    kept = {**y_pred, "classes": np.where(np.arange(14) < count[:, None], y_pred["classes"], -1)}
    expected = updated(metric_of(y_true, num_classes), y_true, kept).result()
    counted = {**y_pred, "num_detections": count}
    assert updated(metric_of(y_true, num_classes), y_true, counted).result() == expected
    scores, boxes = y_pred["scores"].copy(), y_pred["boxes"].copy()
    gone = np.arange(14) >= count[:, None]
    scores[gone & (np.arange(14) % 2 == 0)] = np.nan
    boxes[gone & (np.arange(14) % 2 == 1), 2] = np.inf
    diverged = {**y_pred, "scores": scores, "boxes": boxes}
    assert updated(metric_of(y_true, num_classes), y_true, diverged).result() == expected


def test_nothing_to_find_is_minus_one_and_nothing_found_is_zero():
    metric = MeanAveragePrecision(2, 3, max_boxes=2, max_detections=2, per_class=True)
    assert set(metric.result().values()) == {-1.0}
    box = np.array([[[0, 0, 40, 40]]], "float32")
    nothing = {"boxes": box, "scores": [[0.5]], "classes": [[-1]]}
    targets = {"boxes": box, "labels": [[1]], "example_id": [2]}
    metric.update_state(targets, nothing)
    result = metric.result()
    assert (result["mAP"], result["AP/0"], result["AP/1"]) == (0.0, -1.0, 0.0)
    assert (result["mAP/medium"], result["mAP/small"]) == (0.0, -1.0)
    metric.reset_state()
    assert set(metric.result().values()) == {-1.0}
    metric.update_state({**targets, "labels": [[-1]]}, {**nothing, "classes": [[0]]})
    assert set(metric.result().values()) == {-1.0}


def test_traced_results_are_placeholders_and_the_state_is_the_same():
    """As in a compiled step of TensorFlow or JAX, where the host cannot be asked."""
    y_true, y_pred, num_classes = random_set(np.random.default_rng(8), size=SIZE, masks=True)
    metric = metric_of(y_true, num_classes, masks=True, per_class=True)
    traced = []

    def step(variables, y_true, y_pred):
        state = metric.stateless_update_state(variables, y_true, y_pred)
        traced.append(metric.stateless_result(state))
        return state

    step = compiled(step)
    start = [variable.value for variable in metric.variables]
    tensors = keras.tree.map_structure(ops.convert_to_tensor, [y_true, y_pred])
    state = step(start, *tensors)
    expected = updated(metric, y_true, y_pred).result()
    assert list(traced[0]) == list(expected)
    for variable, value in zip(metric.variables, state, strict=True):
        variable.assign(value)
    assert metric.result() == expected


@pytest.mark.parametrize("shape", [(3, 2, 5, 7), (2, 4, 8, 3), (1, 1, 1, 1), (2, 3, 16, 8)])
def test_packed_masks_come_back(rng, shape):
    masks = rng.integers(0, 3, shape).astype("uint8")
    for given in (masks, masks > 0, masks.astype("int32") * -300):
        packed = ops.convert_to_numpy(packed_masks(ops.convert_to_tensor(given)))
        assert packed.shape == (*shape[:2], -(-shape[2] * shape[3] // 8))
        back = unpacked(packed.reshape(-1, packed.shape[-1]), shape[2:])
        np.testing.assert_array_equal(back.reshape(shape), masks > 0)


# VOC.


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_voc_equals_the_loop(masks):
    found = []
    for seed in range(20, 40):
        y_true, y_pred, num_classes = random_set(
            np.random.default_rng(seed), size=SIZE, masks=masks
        )
        metric = metric_of(y_true, num_classes, masks=masks, style="voc", per_class=True)
        figures = updated(metric, y_true, y_pred).result()
        areas, at_11_points = voc_by_loop(y_true, y_pred, num_classes, masks=masks)
        classes = [figures[f"AP/{label}"] for label in range(num_classes)]
        np.testing.assert_allclose(classes, areas, rtol=0, atol=1e-12)
        for name, values in (("mAP", areas), ("mAP/11-point", at_11_points)):
            scored = [value for value in values if value >= 0]
            mean = np.mean(scored) if scored else -1.0
            assert figures[name] == pytest.approx(mean, abs=1e-12)
        found.append(figures["mAP"])
    assert sum(0.05 < value < 0.95 for value in found) > 10


def test_voc_counts_a_second_detection_of_an_object_as_wrong():
    """Where COCO would give it to the next object that it overlaps."""
    truth = {
        "boxes": np.array([[[0, 0, 10, 10], [0, 0, 10, 12]]]),
        "labels": np.zeros((1, 2), int),
        "example_id": [0],
    }
    found = {
        "boxes": np.array([[[0, 0, 10, 10], [0, 0, 10, 10]]]),
        "scores": np.array([[0.9, 0.8]]),
        "classes": np.zeros((1, 2), int),
    }
    figures = {}
    for style in ("voc", "coco"):
        metric = MeanAveragePrecision(1, 1, style=style)
        metric.update_state(truth, found)
        figures[style] = metric.result()
    assert figures["voc"]["mAP"] == 0.5
    assert figures["coco"]["mAP@50"] == 1.0


# Curves.


def test_coco_curves_are_pycocotools():
    y_true, y_pred, num_classes = random_set(np.random.default_rng(11), size=SIZE)
    names = [f"class {label}" for label in range(num_classes)]
    metric = updated(metric_of(y_true, num_classes, classes=names), y_true, y_pred)
    expected = by_pycocotools(y_true, y_pred, num_classes).eval
    for place, threshold in enumerate([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]):
        curves = metric.curves(iou_threshold=threshold)
        scored = [k for k in range(num_classes) if expected["precision"][0, 0, k, 0, 2] >= 0]
        assert list(curves) == [names[label] for label in scored]
        for label in scored:
            recall, precision, scores = curves[names[label]]
            np.testing.assert_allclose(recall, np.linspace(0, 1, 101))
            np.testing.assert_array_equal(precision, expected["precision"][place, :, label, 0, 2])
            np.testing.assert_array_equal(scores, expected["scores"][place, :, label, 0, 2])


def test_voc_curves_have_a_point_a_detection():
    metric = MeanAveragePrecision(1, 1, style="voc")
    boxes = np.array([[[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]]])
    truth = {"boxes": boxes, "labels": [[0, 0, -1]], "example_id": [0]}
    found = {"boxes": boxes[:, ::-1], "scores": [[0.9, 0.5, 0.7]], "classes": [[0, 0, 0]]}
    metric.update_state(truth, found)
    recall, precision, scores = metric.curves()["0"]
    np.testing.assert_allclose(recall, [0, 0.5, 1])
    np.testing.assert_allclose(precision, [0, 1 / 2, 2 / 3])
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.5])
    for style, wrong in (("voc", 0.75), ("coco", 0.52)):
        metric = MeanAveragePrecision(1, 1, style=style)
        with pytest.raises(ValueError, match=r"`iou_threshold` must be one of \[0.5.*, got 0"):
            metric.curves(iou_threshold=wrong)


# Arguments and errors.


def test_names_and_config():
    metric = MeanAveragePrecision(
        2, 1, style="voc", classes=("cat", "dog"), per_class=True, prefix="box/"
    )
    names = ["box/mAP", "box/mAP/11-point", "box/AP/cat", "box/AP/dog"]
    assert list(metric.result()) == list(metric.placeholder()) == names
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
    segm = MeanAveragePrecision(2, 1, iou_type="segm", mask_size=(4, 6))
    assert type(segm).from_config(segm.get_config()).mask_size == (4, 6)


def test_memory_is_what_the_docstring_says():
    metric = MeanAveragePrecision(3, 499, max_boxes=20, max_detections=30)
    stated = 500 * (28 * 20 + 24 * 30)
    assert sum(np.prod(v.shape) * 4 for v in metric.variables) == stated + 4 * 501
    masks = MeanAveragePrecision(
        3, 499, max_boxes=20, max_detections=30, iou_type="segm", mask_size=(16, 24)
    )
    bits = sum(np.prod(v.shape) for v in masks.variables if v.dtype == "uint8")
    assert bits == 500 * (20 + 30) * 16 * 24 / 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be at least 1, got 0"),
        ({"num_examples": 0}, "`num_examples` must be at least 1, got 0"),
        ({"max_boxes": 0}, "`max_boxes` must be at least 1, got 0"),
        ({"max_detections": -1}, "`max_detections` must be at least 1, got -1"),
        ({"iou_type": "box"}, "`iou_type` must be 'bbox' or 'segm', got 'box'"),
        ({"style": "lvis"}, "`style` must be 'coco' or 'voc', got 'lvis'"),
        ({"iou_type": "segm"}, "`mask_size` must be .* got None for 'segm'"),
        ({"mask_size": (4, 4)}, r"`mask_size` must be .* got \(4, 4\) for 'bbox'"),
        ({"classes": ["a"]}, r"`classes` must be 3 different names, got \['a'\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MeanAveragePrecision(**{"num_classes": 3, "num_examples": 4, **arguments})


BOXES = np.zeros((1, 2, 4), "float32")
TRUTH = {"boxes": BOXES, "labels": np.zeros((1, 2), int), "example_id": np.array([0])}
FOUND = {"boxes": BOXES, "scores": np.zeros((1, 2)), "classes": np.zeros((1, 2), int)}


def test_too_many_rows():
    metric = MeanAveragePrecision(1, 1, max_boxes=1)
    with pytest.raises(ValueError, match=r"y_true\['boxes'\].* max_boxes=1, got shape \(1, 2, 4\)"):
        metric.update_state(TRUTH, FOUND)
    metric = MeanAveragePrecision(1, 1, max_detections=1)
    with pytest.raises(ValueError, match=r"y_pred\['boxes'\].* max_detections=1, got shape"):
        metric.update_state(TRUTH, FOUND)


def test_masks_of_another_size_or_kind():
    metric = MeanAveragePrecision(1, 1, iou_type="segm", mask_size=(4, 6))
    masks = np.zeros((1, 2, 4, 6), bool)
    for wrong in (masks[..., :5], masks.astype("float32")):
        message = r"`y_true\['masks'\]` must be \(B, N, 4, 6\), bool or integers, got shape"
        with pytest.raises(ValueError, match=message):
            metric.update_state({**TRUTH, "masks": wrong}, {**FOUND, "masks": masks})


def test_an_image_counted_twice():
    metric = MeanAveragePrecision(1, 3)
    for _ in range(2):
        metric.update_state({**TRUTH, "example_id": [2]}, FOUND)
    with pytest.raises(ValueError, match="once, but 1 were counted again, .* `example_id` 2"):
        metric.result()


@pytest.mark.parametrize("wrong", [3, 4, 2**31 - 1])
def test_an_id_that_is_too_high(wrong):
    metric = MeanAveragePrecision(1, 3)
    metric.update_state({**TRUTH, "example_id": [wrong]}, FOUND)
    with pytest.raises(ValueError, match="`example_id` must be below num_examples=3; 1 were not"):
        metric.result()


def test_without_the_library(monkeypatch):
    import sys

    metric = MeanAveragePrecision(1, 1)
    metric.update_state(TRUTH, FOUND)
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(MissingExtraError, match=r"pip install kerakit\[coco\]"):
        metric.result()
    boxes = MeanAveragePrecision(1, 1, style="voc")  # needs no library
    boxes.update_state(TRUTH, FOUND)
    assert boxes.result()["mAP"] == 0.0


def test_every_kind_of_case_is_in_the_random_sets():
    """Else the comparison above would show less than it says."""
    sets = [random_set(np.random.default_rng(seed), size=SIZE)[:2] for seed in range(12)]
    objects = [y_true["labels"] >= 0 for y_true, _ in sets]
    found = [y_pred["classes"] >= 0 for _, y_pred in sets]
    pairs = [(o.any(1), f.any(1)) for o, f in zip(objects, found, strict=True)]
    assert any((has_objects & ~has_found).any() for has_objects, has_found in pairs)
    assert any((~has_objects & has_found).any() for has_objects, has_found in pairs)
    assert any((~has_objects & ~has_found).any() for has_objects, has_found in pairs)
    assert sum((y["crowd"] & o).sum() for (y, _), o in zip(sets, objects, strict=True)) > 10
    scores = [p["scores"][there] for (_, p), there in zip(sets, found, strict=True)]
    assert sum(len(s) - len(np.unique(s)) for s in scores) > 100
    areas = np.concatenate([y["area"][o] for (y, _), o in zip(sets, objects, strict=True)])
    borders = list(itertools.pairwise([0, 1024, 9216, 1e9]))
    assert all(np.sum((areas > low) & (areas < high)) > 10 for low, high in borders)
    assert np.sum(areas == 1024) > 2
    assert np.sum(areas == 9216) > 2
