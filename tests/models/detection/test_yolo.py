"""YOLO's detections and loss against loops, and the model in stock `fit`."""

import functools
import math

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.models.detection import YOLO, yolo_m, yolo_n, yolo_s
from kerakit.models.detection.task_aligned_matching import task_aligned_matching
from kerakit.ops import grid_points
from tests.conformance.case import compiled

BACKEND = keras.backend.backend()
# JAX compiles every operation of an eager step for itself.
slow_on_jax = pytest.mark.slow if BACKEND == "jax" else lambda test: test
SIZE, GRIDS, NUM_CELLS, CLASSES = (64, 96), [(8, 12), (4, 6), (2, 3)], 126, 3


def small(**options):
    options = {"input_shape": (*SIZE, 3), "num_classes": CLASSES, "width": 0.25, **options}
    return yolo_n(**options)


@functools.cache
def untrained():
    """One for all tests that leave its weights alone."""
    return small()


def scenes(rng, batch=2, num_objects=5):
    corner = rng.uniform(0, 40, (batch, num_objects, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 30, corner.shape)], -1)
    labels = rng.integers(0, CLASSES, (batch, num_objects))
    labels[:, -1] = -1
    targets = {
        "boxes": np.where(labels[..., None] < 0, 0, boxes).astype("float32"),
        "labels": labels.astype("int32"),
        "crowd": np.zeros(labels.shape, bool),
        "area": np.ones(labels.shape, "float32"),
        "example_id": np.arange(batch, dtype="int32"),
    }
    return rng.integers(0, 256, (batch, *SIZE, 3)).astype("uint8"), targets


def raw_outputs(rng, batch=2, bins=16):
    return {
        "class_logits": rng.normal(size=(batch, NUM_CELLS, CLASSES)).astype("float32") * 2,
        "edge_logits": rng.normal(size=(batch, NUM_CELLS, 4, bins)).astype("float32") * 2,
    }


def loss_of(model, targets, outputs, **options):
    return float(ops.convert_to_numpy(model.compute_loss(None, targets, outputs, **options)))


def softmax(x):
    shares = np.exp(x - x.max())
    return shares / shares.sum()


def boxes_by_loop(edge_logits):
    """One image's boxes: the mean distance to each edge, in strides, around each centre."""
    points, strides = (ops.convert_to_numpy(x) for x in grid_points(GRIDS, image_size=SIZE))
    boxes = np.empty((NUM_CELLS, 4))
    for cell, edges in enumerate(edge_logits.astype("float64")):
        left, up, right, down = (softmax(e) @ np.arange(len(e)) * strides[cell, 0] for e in edges)
        x, y = points[cell]
        boxes[cell] = x - left, y - up, x + right, y + down
    return boxes


def iou_of(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    whole = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - shared
    return shared / whole if whole > 0 else 0.0


def ciou_of(a, b):
    iou = iou_of(a, b)
    width, height = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    apart = ((a[0] + a[2] - b[0] - b[2]) ** 2 + (a[1] + a[3] - b[1] - b[3]) ** 2) / 4
    slants = [math.atan((x[2] - x[0]) / (x[3] - x[1])) for x in (a, b)]
    v = 4 / math.pi**2 * (slants[0] - slants[1]) ** 2
    return iou - apart / (width**2 + height**2) - v * v / (1 - iou + v)


@pytest.mark.parametrize(
    ("build", "parameters"), [(yolo_n, 2_889_856), (yolo_s, 11_458_384), (yolo_m, 32_282_208)]
)
def test_sizes(build, parameters):
    model = build(input_shape=(64, 64, 3))
    count = sum(math.prod(v.shape) for v in model.trainable_variables)
    assert count == parameters
    assert f"{parameters:,} parameters" in build.__doc__
    assert model.name == build.__name__


def test_boxes_are_the_mean_distances(rng):
    edge_logits = raw_outputs(rng)["edge_logits"]
    found = ops.convert_to_numpy(untrained().boxes_of(ops.convert_to_tensor(edge_logits)))
    for image in range(2):
        np.testing.assert_allclose(
            found[image], boxes_by_loop(edge_logits[image]), rtol=1e-4, atol=1e-3
        )


def detections_by_loop(class_logits, edge_logits, *, score_threshold, iou_threshold, most):
    boxes = np.clip(boxes_by_loop(edge_logits), 0, [SIZE[1], SIZE[0]] * 2)
    scores = 1 / (1 + np.exp(-class_logits.astype("float64")))
    pairs = [(scores[cell, k], cell, k) for cell, k in np.ndindex(*scores.shape)]
    kept = []
    for score, cell, k in sorted(pairs, key=lambda p: -p[0]):
        covered = any(
            k == other and iou_of(boxes[cell], box) > iou_threshold for _, box, other in kept
        )
        if score > score_threshold and not covered and len(kept) < most:
            kept.append((score, boxes[cell], k))
    return kept


@pytest.mark.parametrize("most", [20, 300])
def test_detections_equal_the_loop(most, rng):
    model = small(score_threshold=0.3, iou_threshold=0.4, max_detections=most)
    outputs = raw_outputs(rng)
    outputs["edge_logits"] -= np.arange(16, dtype="float32") / 2  # small boxes
    found = {k: ops.convert_to_numpy(v) for k, v in model.detections(outputs).items()}
    for image in range(2):
        expected = detections_by_loop(
            outputs["class_logits"][image],
            outputs["edge_logits"][image],
            score_threshold=0.3,
            iou_threshold=0.4,
            most=most,
        )
        number = len(expected)
        assert found["num_detections"][image] == number > 10
        scores, boxes, classes = zip(*expected, strict=True)
        np.testing.assert_allclose(found["scores"][image, :number], scores, rtol=1e-5)
        np.testing.assert_allclose(found["boxes"][image, :number], boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(found["classes"][image, :number], classes)
        assert (found["scores"][image, number:] == 0).all()
        assert (found["boxes"][image, number:] == 0).all()
        assert (found["classes"][image, number:] == -1).all()


def loss_by_loop(outputs, targets, matches, alignment, *, weights=(1.0, 2.0, 0.5)):
    """The three parts, a cell at a time, from the matching, which has tests of its own."""
    points, strides = (ops.convert_to_numpy(x) for x in grid_points(GRIDS, image_size=SIZE))
    parts = np.zeros(3)
    for image, logits in enumerate(outputs["class_logits"].astype("float64")):
        boxes = boxes_by_loop(outputs["edge_logits"][image])
        for cell in range(NUM_CELLS):
            row, t = matches[image, cell], float(alignment[image, cell])
            for k in range(CLASSES):
                y = t if row >= 0 and targets["labels"][image, row] == k else 0.0
                s = 1 / (1 + np.exp(-logits[cell, k]))
                parts[0] -= (y - s) ** 2 * (y * np.log(s) + (1 - y) * np.log(1 - s))
            if row < 0:
                continue
            box = targets["boxes"][image, row].astype("float64")
            parts[1] += t * (1 - ciou_of(boxes[cell], box))
            x, y = points[cell]
            for edge, pixels in enumerate([x - box[0], y - box[1], box[2] - x, box[3] - y]):
                distance = min(max(pixels / strides[cell, 0], 0), 15)
                shares = softmax(outputs["edge_logits"][image, cell, edge].astype("float64"))
                low = min(int(distance), 14)
                parts[2] -= t / 4 * (low + 1 - distance) * np.log(shares[low])
                parts[2] -= t / 4 * (distance - low) * np.log(shares[low + 1])
    return parts * weights / max(alignment.sum(), 1)


def test_loss_equals_the_loop(rng):
    model = small()
    outputs, (_, targets) = raw_outputs(rng), scenes(rng)
    matches, alignment = task_aligned_matching(
        outputs["class_logits"],
        model.boxes_of(ops.convert_to_tensor(outputs["edge_logits"])),
        points=grid_points(GRIDS, image_size=SIZE)[0],
        truth_boxes=targets["boxes"],
        labels=targets["labels"],
    )
    matches, alignment = ops.convert_to_numpy(matches), ops.convert_to_numpy(alignment)
    assert (matches >= 0).sum() > 10
    expected = loss_by_loop(outputs, targets, matches, alignment)
    assert loss_of(model, targets, outputs) == pytest.approx(expected.sum(), rel=1e-4)
    parts = [float(model._loss_parts[n].result()) for n in ("class_loss", "box_loss", "edge_loss")]
    np.testing.assert_allclose(parts, expected, rtol=1e-4)


def slopes_of(model, targets, outputs, **options):
    def loss(class_logits, edge_logits):
        found = {"class_logits": class_logits, "edge_logits": edge_logits}
        return model.compute_loss(None, targets, found, **options)

    slopes = gradients.gradient(loss, outputs["class_logits"], outputs["edge_logits"])
    return [ops.convert_to_numpy(slope) for slope in slopes]


def test_without_objects_boxes_are_left_alone(rng):
    model, outputs, (_, targets) = untrained(), raw_outputs(rng), scenes(rng)
    targets["labels"][:], targets["boxes"][:] = -1, 0
    assert np.isfinite(loss_of(model, targets, outputs))
    of_classes, of_edges = slopes_of(model, targets, outputs)
    assert (of_edges == 0).all()
    assert (of_classes > 0).all()  # every score is to fall


def test_strange_boxes_are_finite(rng):
    model, outputs = untrained(), raw_outputs(rng)
    _, targets = scenes(rng, num_objects=300)
    targets["boxes"][:, 0] = [10, 10, 10, 30]
    targets["boxes"][:, 1] = [-500, -500, 900, 900]
    targets["boxes"][:, 2] = [20, 20, 20.001, 20.001]
    targets["labels"][:, :3] = 0
    assert np.isfinite(loss_of(model, targets, outputs))
    assert all(np.isfinite(slope).all() for slope in slopes_of(model, targets, outputs))


def test_a_box_of_no_area_is_no_object(rng):
    model, outputs, (_, targets) = untrained(), raw_outputs(rng), scenes(rng)
    expected = loss_of(model, targets, outputs)
    targets["boxes"][:, -1], targets["labels"][:, -1] = [30, 30, 30, 50], 1
    assert loss_of(model, targets, outputs) == expected


def test_a_crowd_is_neither_object_nor_background(rng):
    model, outputs, (_, targets) = untrained(), raw_outputs(rng), scenes(rng)
    targets["labels"][:] = -1
    targets["labels"][:, 0], targets["crowd"][:, 0] = 1, True
    targets["boxes"][:, 0] = [16, 16, 48, 40]
    of_classes, of_edges = slopes_of(model, targets, outputs)
    x, y = ops.convert_to_numpy(grid_points(GRIDS, image_size=SIZE)[0]).T
    inside = (x >= 16) & (x < 48) & (y >= 16) & (y < 40)
    assert (of_classes[:, inside] == 0).all()
    assert (of_classes[:, ~inside] != 0).all()
    assert (of_edges == 0).all()


def test_images_of_weight_0_do_not_count(rng):
    """As in Keras's losses the sum of those that do is divided by the number of all."""
    model, outputs, (_, targets) = untrained(), raw_outputs(rng, batch=3), scenes(rng, batch=3)
    first = {name: value[:2] for name, value in targets.items()}
    expected = loss_of(model, first, {name: value[:2] for name, value in outputs.items()})
    weights = np.array([1.0, 1.0, 0.0], "float32")
    for given in (weights, dict.fromkeys(targets, weights)):
        found = loss_of(model, targets, outputs, sample_weight=given)
        assert found == pytest.approx(expected * 2 / 3, rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="there is no XLA")
def test_is_the_same_under_xla(rng):
    model, (images, targets) = untrained(), scenes(rng)

    def step(images, boxes, labels, crowd):
        outputs = model(images, training=False)
        targets = {"boxes": boxes, "labels": labels, "crowd": crowd}
        return {**outputs, "loss": model.compute_loss(None, targets, outputs)}

    arguments = [ops.convert_to_tensor(v) for v in (images, *list(targets.values())[:3])]
    if BACKEND == "jax":
        with keras.StatelessScope():
            expected, found = step(*arguments), compiled(step)(*arguments)
    else:
        expected, found = step(*arguments), compiled(step)(*arguments)
    for name, value in expected.items():
        np.testing.assert_allclose(
            ops.convert_to_numpy(found[name]),
            ops.convert_to_numpy(value),
            rtol=1e-3,
            atol=1e-3,
            err_msg=name,
        )


@slow_on_jax
def test_fits_predicts_and_loads_as_it_was_saved(rng, tmp_path):
    images, targets = scenes(rng, batch=3)
    model = small(score_threshold=0.009, max_detections=7)
    model.compile("sgd")
    logs = model.fit(images, targets, batch_size=2, verbose=0).history
    assert set(logs) == {"loss", "class_loss", "box_loss", "edge_loss"}
    assert all(0 < values[0] < 100 for values in logs.values())
    expected = model.predict(images, batch_size=2, verbose=0)
    assert {name: value.shape for name, value in expected.items()} == {
        "boxes": (3, 7, 4),
        "scores": (3, 7),
        "classes": (3, 7),
        "num_detections": (3,),
    }
    assert expected["num_detections"].min() > 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, YOLO)
    own = ("score_threshold", "iou_threshold", "max_detections", "num_candidates", "top")
    assert [getattr(again, name) for name in own] == [0.009, 0.7, 7, 1000, 13]
    assert again.loss_weights == model.loss_weights
    for name, value in again.predict(images, batch_size=2, verbose=0).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_boxes_and_loss_in_float32(policy, rng):
    images, targets = scenes(rng)
    keras.config.set_dtype_policy(policy)
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.network.get_layer("stem_conv").compute_dtype == policy.removeprefix("mixed_")
    outputs = model(images, training=False)
    loss = ops.stop_gradient(model.compute_loss(None, targets, outputs))
    for value in (outputs["boxes"], outputs["scores"], outputs["class_logits"], loss):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    plain = small()
    plain.set_weights(model.get_weights())
    expected = plain.compute_loss(None, targets, plain(images, training=False))
    expected = ops.stop_gradient(expected)
    assert float(loss) == pytest.approx(float(expected), rel=0.05)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="JAX lowers for devices that are not there")
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_lowers_for_other_devices(platform, rng):
    import jax

    model, (images, targets) = untrained(), scenes(rng)
    targets = {name: targets[name] for name in ("boxes", "labels", "crowd")}

    def step(weights, images, targets):
        pairs = list(zip(model.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            outputs = model(images, training=True)
            return model.compute_loss(None, targets, outputs)

    def predict(images):
        with keras.StatelessScope():
            return model(images, training=False)

    weights = [v.value for v in model.trainable_variables]
    for function, arguments in (
        (jax.grad(step), (weights, images, targets)),
        (predict, (images,)),
    ):
        exported = jax.export.export(jax.jit(function), platforms=[platform])(*arguments)
        assert exported.platforms == (platform,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (64, 90, 3)}, r"`input_shape` must .* divisible by 32, got \(64, 90, 3\)"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"width": 0}, "`width` must be positive, got 0"),
        ({"bins": 1}, "`bins` must be an integer of at least 2, got 1"),
        ({"score_threshold": 1.0}, r"`score_threshold` must be in \[0, 1\), got 1.0"),
        ({"iou_threshold": 1.5}, r"`iou_threshold` must be in \[0, 1\], got 1.5"),
        ({"max_detections": 0}, "`max_detections` must be an integer of at least 1, got 0"),
        ({"normalization": "other"}, "`normalization` must be one of"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_weights": (1, 2)}, "`loss_weights` must be three numbers of at least 0"),
        ({"focal_gamma": -1.0}, "`focal_gamma` must be at least 0, got -1.0"),
    ],
)
def test_errors_of_the_class(options, message):
    with pytest.raises(ValueError, match=message):
        YOLO(untrained().network, **options)


@pytest.mark.slow
def test_learns_a_few_images_by_heart(rng):
    """Bright rectangles on noise: after some hundred steps each is found, and little else."""
    images, targets = scenes(rng, batch=4, num_objects=3)
    images = rng.integers(0, 60, images.shape).astype("uint8")
    colors = np.eye(3, dtype="uint8") * 200
    for image in range(4):
        for box, label in zip(targets["boxes"][image], targets["labels"][image], strict=True):
            x1, y1, x2, y2 = box.round().astype(int)
            images[image, y1:y2, x1:x2] = colors[label] if label >= 0 else 0
    model = small(width=0.5)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(images, targets, batch_size=4, epochs=300, verbose=0)
    found = model.predict(images, verbose=0)
    for image in range(4):
        real = targets["labels"][image] >= 0
        sure = found["scores"][image] > 0.4
        assert sure.sum() <= real.sum() + 1
        for box, label in zip(
            targets["boxes"][image][real], targets["labels"][image][real], strict=True
        ):
            overlaps = [
                iou_of(box, other)
                for other, kind in zip(
                    found["boxes"][image][sure], found["classes"][image][sure], strict=True
                )
                if kind == label
            ]
            assert max(overlaps, default=0) > 0.7
