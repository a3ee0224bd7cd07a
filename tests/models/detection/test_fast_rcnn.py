"""Fast R-CNN: its targets and losses against loops, degenerate inputs, XLA, learning."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit.models.detection.detector import image_weights
from kerakit.models.detection.fast_rcnn import FastRCNN, fast_rcnn
from kerakit.models.detection.region_detections import region_detections
from kerakit.models.detection.region_losses import BOX_WEIGHTS, smooth_l1
from kerakit.models.detection.region_sampling import mean_over_chosen, sample_regions
from tests.models.detection.rectangles import average_overlap, drawn, proposals_around
from tests.reference.detection import suppressed_by_loop

BACKEND = keras.backend.backend()


def backbone():
    images = keras.Input((48, 64, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    # Stride 2 in all: RoI pooling rounds boxes of 12 pixels to its cells.
    x = layers.Conv2D(16, 5, padding="same", activation="relu", name="features")(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x))


def model_of(**options):
    options = {"regions": 16, "hidden_units": 32, **options}
    return fast_rcnn(num_classes=2, backbone=backbone(), tap="features", **options)


def data(rng, count, number=20):
    images, truth = drawn(rng, count)
    return {"images": images, "proposals": proposals_around(rng, truth, number)}, truth


def iou_of(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def test_sampled_regions_are_what_the_loop_says(rng):
    inputs, truth = data(rng, 8, 40)
    truth["crowd"] = rng.uniform(size=truth["labels"].shape) < 0.25
    proposals = inputs["proposals"]
    proposals[:, -3:] = 0
    sampled = sample_regions(
        proposals,
        truth,
        np.arange(8, dtype="int32"),
        size=24,
        positive_fraction=0.25,
        foreground=0.5,
        background=0.1,
    )
    sampled = {name: ops.convert_to_numpy(x) for name, x in sampled.items()}
    left_out = 0
    for n in range(8):
        labels, crowd = truth["labels"][n], truth["crowd"][n]
        objects = [m for m in range(3) if labels[m] >= 0 and not crowd[m]]
        crowds = truth["boxes"][n][(labels >= 0) & crowd]
        expected = {}
        for region in np.concatenate([proposals[n], truth["boxes"][n][objects]]):
            area = (region[2] - region[0]) * (region[3] - region[1])
            overlaps = [iou_of(region, truth["boxes"][n][m]) for m in objects]
            best = max(overlaps, default=0.0)
            inside = 0.0
            for x1, y1, x2, y2 in crowds:
                width = max(0.0, min(x2, region[2]) - max(x1, region[0]))
                inside = max(inside, width * max(0.0, min(y2, region[3]) - max(y1, region[1])))
            if area > 0 and best >= 0.5:
                own = objects[int(np.argmax(overlaps))]
                expected[tuple(region)] = (labels[own] + 1, tuple(truth["boxes"][n][own]))
            elif area > 0 and best >= 0.1 and inside < 0.5 * area:
                expected[tuple(region)] = (0, None)
            else:
                left_out += 1
        positive = sum(label > 0 for label, _ in expected.values())
        is_chosen, is_positive = sampled["is_chosen"][n], sampled["is_positive"][n]
        assert is_positive.sum() == min(positive, 6)
        assert is_chosen.sum() == min(24, min(positive, 6) + len(expected) - positive)
        for s in np.flatnonzero(is_chosen):
            label, box = expected[tuple(sampled["regions"][n, s])]
            assert sampled["labels"][n, s] == label
            assert is_positive[s] == (label > 0)
            if label:
                assert tuple(sampled["boxes"][n, s]) == box
    assert left_out > 20


def test_the_mean_is_of_images_and_their_chosen_regions():
    losses = np.array([[1.0, 2.0, 30.0], [4.0, 50.0, 60.0], [7.0, 8.0, 9.0]], "float32")
    chosen = {"is_chosen": np.array([[True, True, False], [True, False, False], [False] * 3])}
    assert float(mean_over_chosen(losses, chosen)) == pytest.approx((1.5 + 4) / 3)
    weights = np.array([2.0, 0.0, 1.0], "float32")
    assert float(mean_over_chosen(losses, chosen, weights)) == pytest.approx(3 / 3)
    by_target = image_weights({"boxes": weights, "labels": weights})
    assert float(mean_over_chosen(losses, chosen, by_target)) == pytest.approx(3 / 3)
    assert image_weights(None) is None


def test_smooth_l1():
    x = np.linspace(-3, 3, 13)
    expected = [0.5 * v * v if abs(v) < 1 else abs(v) - 0.5 for v in x]
    np.testing.assert_allclose(smooth_l1(ops.array(x), beta=1.0), expected, atol=1e-6)


def losses_by_hand(model, inputs, truth):
    """Both losses out of the head's outputs, for sampling that takes every candidate."""
    features = model(inputs, training=True)["features"]
    in_class, in_box = [], []
    for n in range(len(truth["labels"])):
        objects = np.flatnonzero(truth["labels"][n] >= 0)
        regions = np.concatenate([inputs["proposals"][n], truth["boxes"][n][objects]])
        pooled = model.pool(features[n : n + 1], regions[None])
        logits, offsets = (ops.convert_to_numpy(x)[0] for x in model.head(pooled))
        class_losses, box_losses = [], []
        for region, scores, own in zip(regions, logits, offsets, strict=True):
            overlaps = [iou_of(region, truth["boxes"][n][m]) for m in objects]
            nearest = objects[int(np.argmax(overlaps))]
            label = truth["labels"][n][nearest] + 1 if max(overlaps) >= 0.5 else 0
            class_losses.append(np.log(np.exp(scores).sum()) - scores[label])
            if label:
                box = truth["boxes"][n][nearest]
                sides, box_sides = region[2:] - region[:2], box[2:] - box[:2]
                shift = (box[:2] + box[2:] - region[:2] - region[2:]) / 2 / sides
                wanted = np.r_[shift, np.log(box_sides / sides)] * BOX_WEIGHTS
                error = np.abs(own[label] - wanted)
                box_losses.append(np.where(error < 1, error**2 / 2, error - 0.5).sum())
        in_class.append(np.mean(class_losses))
        in_box.append(np.sum(box_losses) / len(regions))
    return np.mean(in_class), np.mean(in_box)


def test_losses_equal_those_by_hand(rng):
    inputs, truth = data(rng, 3, 10)
    model = model_of(regions=13, positive_fraction=1.0, background=0.0)
    model.compile()
    logs = model.evaluate(inputs, truth, batch_size=3, return_dict=True, verbose=0)
    in_class, in_box = losses_by_hand(model, inputs, truth)
    assert logs["class_loss"] == pytest.approx(in_class, rel=1e-4)
    assert logs["box_loss"] == pytest.approx(in_box, rel=1e-4)
    assert in_box > 0.1
    assert logs["loss"] == pytest.approx(in_class + in_box, rel=1e-4)


def step(jit_compile, rng):
    keras.utils.set_random_seed(1)
    inputs, truth = data(rng, 4)
    model = model_of(score_threshold=0.3)
    model.compile(keras.optimizers.SGD(0.05), jit_compile=jit_compile)
    losses = model.fit(inputs, truth, batch_size=2, epochs=2, verbose=0, shuffle=False).history
    assert int(model.sampling_step) == 4
    return losses, model.predict(inputs, verbose=0)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="there jit_compile is torch.compile")
def test_xla_gives_the_same():
    plain, found = step(False, np.random.default_rng(0))
    compiled, found_compiled = step(True, np.random.default_rng(0))
    for name, values in plain.items():
        assert compiled[name] == pytest.approx(values, rel=1e-4)
    assert found["num_detections"].sum() > 10
    for name, values in found.items():
        np.testing.assert_allclose(found_compiled[name], values, rtol=1e-3, atol=1e-3)


def test_sampling_goes_by_the_image_and_not_by_its_place(rng):
    inputs, truth = data(rng, 4, 60)
    model = model_of(regions=8)
    model.compile()
    expected = model.evaluate(inputs, truth, batch_size=4, return_dict=True, verbose=0)
    order = [2, 0, 3, 1]
    inputs = {name: x[order] for name, x in inputs.items()}
    truth = {name: x[order] for name, x in truth.items()}
    found = model.evaluate(inputs, truth, batch_size=2, return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-4)


def test_no_object_gives_no_gradient_to_boxes(rng):
    inputs, truth = data(rng, 2)
    truth["labels"][:] = -1
    truth["boxes"][:] = 0
    model = model_of(background=0.0)
    before = [w.copy() for w in model.head.offsets.get_weights()]
    scores = model.head.scores.get_weights()[0].copy()
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.fit(inputs, truth, verbose=0).history
    assert logs["box_loss"] == [0.0]
    assert np.isfinite(logs["loss"][0])
    for was, now in zip(before, model.head.offsets.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert np.abs(model.head.scores.get_weights()[0] - scores).max() > 0


KINDS = ("no area", "300 boxes", "beyond the image")


@pytest.mark.parametrize(
    "kind", ["no proposal", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS)]
)
def test_degenerate_inputs_are_finite(rng, kind):
    inputs, truth = data(rng, 2)
    if kind == "no proposal":
        inputs["proposals"][:] = 0
        truth["labels"][:] = -1
    elif kind == "no area":
        inputs["proposals"][..., 2] = inputs["proposals"][..., 0]
        truth["boxes"][..., 3] = truth["boxes"][..., 1]
    elif kind == "300 boxes":
        boxes = rng.uniform(0, 40, (2, 300, 4)).astype("float32")
        boxes[..., 2:] = boxes[..., :2] + boxes[..., 2:] / 4 + 1
        truth = {"boxes": boxes, "labels": rng.integers(0, 2, (2, 300)).astype("int32")}
    else:
        inputs["proposals"] += 1000
    model = model_of()
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.fit(inputs, truth, verbose=0, epochs=2).history
    assert all(np.isfinite(values).all() for values in logs.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())
    found = model.predict(inputs, verbose=0)
    assert all(np.isfinite(values).all() for values in found.values())
    if kind in ("no proposal", "no area", "beyond the image"):
        assert found["num_detections"].tolist() == [0, 0]
        assert (found["classes"] == -1).all()
        assert not found["boxes"].any()


@pytest.mark.slow
def test_learns_rectangles(rng, tmp_path):
    inputs, truth = data(rng, 24, 24)
    model = model_of()
    model.compile(keras.optimizers.Adam(3e-3))
    start = average_overlap(model.predict(inputs, verbose=0), truth)
    losses = model.fit(inputs, truth, batch_size=8, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    found = model.predict(inputs, verbose=0)
    # An untrained head finds things too: proposals, by chance.
    assert average_overlap(found, truth) > 0.6 > start + 0.15
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is FastRCNN
    again = loaded.predict(inputs, verbose=0)
    for name, values in found.items():
        np.testing.assert_allclose(again[name], values, atol=1e-5)


def test_detections_equal_the_loop(rng):
    boxes = rng.uniform(0, 40, (2, 30, 3, 4)).astype("float32")
    boxes[..., 2:] += boxes[..., :2]
    scores = rng.uniform(0, 1, (2, 30, 3)).astype("float32")
    is_region = rng.uniform(size=(2, 30)) < 0.8
    found = region_detections(
        boxes,
        scores,
        image_size=(50, 60),
        score_threshold=0.4,
        iou_threshold=0.3,
        max_detections=50,
        is_region=is_region,
    )
    found = {name: ops.convert_to_numpy(x) for name, x in found.items()}
    clipped = boxes.clip(0, [60, 50, 60, 50])
    for n in range(2):
        expected = []
        for k in range(3):
            rows = np.flatnonzero(is_region[n] & (scores[n, :, k] > 0.4))
            kept = suppressed_by_loop(
                clipped[n, rows, k], scores[n, rows, k], iou_threshold=0.3, max_output=50
            )
            expected += [(scores[n, r, k], k, *clipped[n, r, k]) for r in rows[kept]]
        expected = sorted(expected, reverse=True)
        count = found["num_detections"][n]
        assert count == len(expected) < 50
        rows = np.c_[found["scores"][n], found["classes"][n], found["boxes"][n]]
        np.testing.assert_allclose(rows[:count], expected, atol=1e-4)
        np.testing.assert_array_equal(rows[count:], [[0, -1, 0, 0, 0, 0]] * (50 - count))


def test_a_pretrained_classifier_is_the_backbone():
    classifier = backbone()
    model = fast_rcnn(num_classes=2, backbone=classifier, tap="features", hidden_units=8)
    for own, given in zip(model.backbone.get_weights(), classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(own, given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0."),
        ({"backbone": "vgg99"}, "`backbone` must be one of mobilenet_v2, vgg16 or a keras.Model"),
        ({"tap": None}, "`tap` must name a layer of "),
        ({"tap": "global_average_pooling2d"}, r"`tap` must name a layer of output \(B, h, w, D\)"),
    ],
)
def test_arguments(options, message):
    images = keras.Input((48, 64, 3))
    x = layers.Conv2D(4, 3, 2, padding="same", name="features")(images)
    whole = keras.Model(
        images, layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x), name="whole"
    )
    options = {"num_classes": 2, "backbone": whole, "tap": "features", **options}
    with pytest.raises(ValueError, match=message):
        fast_rcnn(**options)


def test_height_and_width_shrink_alike():
    images = keras.Input((48, 64, 3))
    x = layers.Conv2D(4, 3, (2, 4), padding="same", name="features")(images)
    with pytest.raises(
        ValueError, match=r"`backbone` must shrink .*, got \(48, 64\) to \(24, 16\)"
    ):
        fast_rcnn(num_classes=2, backbone=keras.Model(images, x), tap="features")


def test_boxes_stay_exact_under_mixed_precision(rng):
    inputs, _ = data(rng, 2, 12)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(score_threshold=0.0)
    finally:
        keras.config.set_dtype_policy(before)
    model.head.offsets.set_weights([0 * w for w in model.head.offsets.get_weights()])
    found = model.predict(inputs, verbose=0)
    assert found["boxes"].dtype == np.float32
    for boxes, count, own in zip(
        found["boxes"], found["num_detections"], inputs["proposals"], strict=True
    ):
        assert count > 3
        nearest = np.abs(boxes[:count, None] - own[None]).max(axis=-1).min(axis=1)
        assert nearest.max() < 1e-4  # bfloat16 has steps of 0.25 at 60
