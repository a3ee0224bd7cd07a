"""Faster and Mask R-CNN over a backbone of three convolutions: training, inference, edges."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import cost, weights
from kerakit.metrics import MeanAveragePrecision
from kerakit.models import detection
from kerakit.models.detection import FasterRCNN, MaskRCNN, feature_taps
from kerakit.models.detection.mask_head import MaskHead
from kerakit.models.detection.proposal_losses import proposal_losses
from kerakit.models.detection.region_proposals import propose
from kerakit.ops import pairwise_iou
from tests.conformance.case import compiled
from tests.golden import classifiers
from tests.reference.detection import suppressed_by_loop

BACKEND = keras.backend.backend()
# JAX compiles every operation of an eager step for itself.
slow_on_jax = pytest.mark.slow if BACKEND == "jax" else lambda test: test
SIDE, CLASSES = 64, 3
PARTS = FasterRCNN.LOSS_PARTS
NUMBERS = {
    "fpn_filters": 8,
    "head_units": 16,
    "anchor_sizes": ((12,), (24,), (40,), (60,)),
    "pre_nms": (40, 30),
    "post_nms": (20, 10),
    "anchor_samples": 24,
    "box_samples": 12,
    "max_detections": 6,
    "canonical_size": 30,
}
KINDS = {"faster": FasterRCNN, "mask": MaskRCNN}


def backbone(norm=layers.BatchNormalization):
    images = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 128, -1)(images)
    for name, filters in (("two", 8), ("four", 12), ("eight", 16), ("sixteen", 16)):
        x = layers.Conv2D(filters, 3, 2, padding="same", name=f"{name}_conv")(x)
        x = layers.ReLU(name=name)(norm(name=f"{name}_norm")(x))
    return keras.Model(images, x, name="tiny")


def tiny(kind="mask", **options):
    masks = {"mask_filters": 8, "mask_depth": 2} if kind == "mask" else {}
    numbers = {**NUMBERS, "score_threshold": 0.0, **masks, **options}
    keras.utils.set_random_seed(1)
    body = feature_taps(backbone(), ["four", "eight", "sixteen"], freeze_norms=True)
    model = KINDS[kind](body, num_classes=CLASSES, **numbers)
    # Fresh last layers hardly tell anything apart: ties would be decided by rounding.
    draw = np.random.default_rng(3)
    for layer in (*model.head_layers, model.proposal_head.objectness, model.proposal_head.offsets):
        layer.kernel.assign(draw.normal(0, 0.3, layer.kernel.shape))
    return model


def scenes(count, *, boxes=3, seed=0):
    """Images with bright rectangles on noise, and their targets with one row of padding."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 60, (count, SIDE, SIDE, 3)).astype("float32")
    found = np.zeros((count, boxes + 1, 4), "float32")
    labels = np.full((count, boxes + 1), -1, "int32")
    for i in range(count):
        for j in range(boxes):
            x, y = draw.integers(0, SIDE - 30, 2)
            w, h = draw.integers(12, 30, 2)
            labels[i, j] = draw.integers(CLASSES)
            found[i, j] = x, y, x + w, y + h
            images[i, y : y + h, x : x + w, labels[i, j]] = 250
    masks = np.ones((count, boxes + 1, 28, 28), "uint8")
    masks[:, :, :7] = 0
    return images, {
        "boxes": found,
        "labels": labels,
        "crowd": np.zeros(labels.shape, bool),
        "masks": masks,
        "example_id": np.arange(count, dtype="int32"),
    }


def losses(model, images, targets, **options):
    """The loss's parts, as numbers."""
    weight = options.get("sample_weight")

    def parts(images, targets):
        keys = model.sampling_keys(targets, 0, 1, training=False)
        return model.loss_parts_of(targets, model(images, training=True), weight, keys)

    if BACKEND == "jax":  # which compiles every operation anew outside of a function
        parts = compiled(parts)
    return {name: float(value) for name, value in parts(images, targets).items()}


@slow_on_jax
@pytest.mark.parametrize("kind", [pytest.param("faster", marks=pytest.mark.slow), "mask"])
def test_stock_fit_evaluate_and_predict(kind):
    images, targets = scenes(3)
    model = tiny(kind)
    metric = MeanAveragePrecision(CLASSES, 3, max_boxes=4, max_detections=6)
    model.compile(keras.optimizers.SGD(0.01), metrics=[metric])
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    history = model.fit(
        images, targets, validation_data=(images, targets), batch_size=2, epochs=2, verbose=0
    ).history
    parts = KINDS[kind].LOSS_PARTS
    for prefix in ("", "val_"):
        for epoch in range(2):
            total = sum(history[prefix + name][epoch] for name in parts)
            if prefix == "":  # means of batches of 2 and 1 images, weighted in `loss` alone
                assert history["loss"][epoch] == pytest.approx(total, rel=0.5)
    assert "val_mAP" in history
    changed = [
        np.any(old != ops.convert_to_numpy(new))
        for old, new in zip(before, model.trainable_weights, strict=True)
    ]
    assert all(changed)
    assert int(model.sampling_step) == 4
    one, two = (
        model.evaluate(images, targets, batch_size=3, return_dict=True, verbose=0) for _ in "ab"
    )
    assert one == two  # validation draws the same samples
    assert one["loss"] == pytest.approx(sum(one[name] for name in parts), rel=1e-5)
    found = model.predict(images, batch_size=2, verbose=0)
    masks = {"masks"} if kind == "mask" else set()
    assert set(found) == {"boxes", "scores", "classes", "num_detections"} | masks
    assert (found["num_detections"] > 0).all()


def trained_one_step(jit_compile):
    images, targets = scenes(2)
    model = tiny()
    model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile)
    before = model.get_weights()
    loss = model.train_on_batch(images, targets, return_dict=True)["loss"]
    return loss, [new - old for new, old in zip(model.get_weights(), before, strict=True)]


@pytest.mark.slow
@slow_on_jax
def test_training_step_under_xla():
    loss, changes = trained_one_step(False)
    compiled_loss, compiled_changes = trained_one_step(True)
    assert compiled_loss == pytest.approx(loss, rel=1e-5)
    largest = max(np.abs(change).max() for change in changes[:-1])
    for one, other in zip(changes, compiled_changes, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.slow
@slow_on_jax
def test_inference_under_xla_and_any_batch_size():
    images, _ = scenes(3)
    model = tiny()
    expected = model.predict(images, batch_size=3, verbose=0)
    found = compiled(lambda x: model(x, training=False))(ops.convert_to_tensor(images))
    one = model.predict(images[:1], verbose=0)
    assert expected["num_detections"].min() > 1
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(one[name], value[:1], rtol=1e-4, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("training", [False, True])
def test_is_lowered_for_tpu_and_cuda(training):
    if BACKEND != "jax":
        pytest.skip("JAX lowers for devices that are not here")
    import jax

    model, (images, targets) = tiny(), scenes(2)
    trainable, rest = model.trainable_variables, model.non_trainable_variables

    def infer(values, images):
        return model.stateless_call(values, [v.value for v in rest], images, training=False)[0]

    def loss(values, images):
        mapping = list(zip(trainable, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = model(images, training=True)
            keys = model.sampling_keys(targets, 0, 1, training=False)
            return sum(model.loss_parts_of(targets, outputs, None, keys).values())

    function = jax.grad(loss) if training else infer
    values = [v.value for v in trainable]
    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda"])(values, images)
    assert exported.platforms == ("tpu", "cuda")


def edges():
    images, targets = scenes(2)
    empty = {**targets, "labels": np.full_like(targets["labels"], -1)}
    empty["boxes"] = np.zeros_like(targets["boxes"])
    flat = {**targets, "boxes": targets["boxes"].copy()}
    flat["boxes"][0, 0, 2:] = flat["boxes"][0, 0, :2]
    draw = np.random.default_rng(0)
    corner = draw.uniform(0, 50, (2, 300, 2))
    many = {
        "boxes": np.concatenate([corner, corner + 8], axis=-1).astype("float32"),
        "labels": draw.integers(0, CLASSES, (2, 300)).astype("int32"),
        "masks": np.ones((2, 300, 28, 28), "uint8"),
    }
    crowd = {**targets, "crowd": np.ones_like(targets["crowd"])}
    return images, {"empty": empty, "flat": flat, "many": many, "crowd": crowd}


@pytest.mark.parametrize("case", ["empty", "flat", "many", "crowd"])
def test_is_finite(case):
    images, cases = edges()
    model = tiny()
    model.compile(keras.optimizers.SGD(0.01))
    before = [ops.convert_to_numpy(w) for w in model.head_layers[1].weights]
    logs = model.train_on_batch(images, cases[case], return_dict=True)
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(w).all() for w in model.get_weights())
    if case in ("empty", "crowd"):
        assert logs["box_loss"] == logs["mask_loss"] == logs["proposal_box_loss"] == 0
        for old, new in zip(before, model.head_layers[1].weights, strict=True):
            np.testing.assert_array_equal(old, ops.convert_to_numpy(new))
    else:
        assert min(logs[name] for name in MaskRCNN.LOSS_PARTS) > 0


def test_loss_is_the_mean_over_images():
    """So that it does not depend on how a batch is spread over replicas; nor does the sampling."""
    images, targets = scenes(3)
    model = tiny()
    together = losses(model, images, targets)
    alone = [
        losses(model, images[i : i + 1], {k: v[i : i + 1] for k, v in targets.items()})
        for i in range(3)
    ]
    for name, value in together.items():
        assert value == pytest.approx(np.mean([x[name] for x in alone]), rel=1e-5)
    assert len({round(x["class_loss"], 5) for x in alone}) == 3


def test_an_image_of_weight_zero_does_not_count():
    images, targets = scenes(2)
    model = tiny()
    weighted = losses(model, images, targets, sample_weight=np.array([2.0, 0.0]))
    first = losses(model, images[:1], {k: v[:1] for k, v in targets.items()})
    assert weighted == pytest.approx(first, rel=1e-5)


def test_samples_differ_from_step_to_step():
    images, targets = scenes(2)
    model = tiny()
    model.compile(keras.optimizers.SGD(0.0))
    drawn = [
        model.train_on_batch(images, targets, return_dict=True)["class_loss"] for _ in range(2)
    ]
    assert drawn[0] != drawn[1]
    model.sampling_step.assign(0)
    assert model.train_on_batch(images, targets, return_dict=True)["class_loss"] == drawn[0]


def test_keras_file(tmp_path):
    images, _ = scenes(2)
    model = tiny()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, MaskRCNN)
    assert again.numbers["pre_nms"] == (40, 30)
    expected = model.predict(images, verbose=0)
    for name, value in again.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


BUILDERS = (
    "fasterrcnn_mobilenet_v2_fpn",
    "fasterrcnn_resnet50_fpn",
    "maskrcnn_mobilenet_v2_fpn",
    "maskrcnn_resnet50_fpn",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
def test_built_ones_train_and_are_saved(name, tmp_path):
    images, targets = scenes(2)
    model = getattr(detection, name)(
        input_shape=(SIDE, SIDE, 3),
        num_classes=CLASSES,
        width=0.125,
        freeze_norms=False,
        score_threshold=0.0,
        max_detections=5,
    )
    model.compile(keras.optimizers.SGD(0.01))
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(images, targets, return_dict=True)["loss"])
    after = model.get_weights()
    changes = zip(model.weights, before, after, strict=True)
    same = [weight.path for weight, old, new in changes if not np.any(old != new)]
    assert all(path.endswith("gamma") for path in same), same  # near 1, the last digit
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(again.get_weights(), after, strict=True):
        np.testing.assert_array_equal(one, other)
    expected, found = (m.predict_on_batch(images) for m in (model, again))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    images, targets = scenes(2)
    expected = losses(tiny(), images, targets)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy)
        model = tiny()
        found = losses(model, images, targets)
        outputs = model(images, training=False)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(outputs["features"][0].dtype) == policy[6:]
    again = MaskRCNN.from_config(model.get_config())
    assert again.box_head.compute_dtype == again.mask_head.compute_dtype == policy[6:]
    for name in ("logits", "offsets", "proposals", "boxes", "scores", "masks"):
        assert keras.backend.standardize_dtype(outputs[name].dtype) == "float32"
    # The first stage sees the same anchors; the second other proposals.
    for name in ("objectness_loss", "proposal_box_loss"):
        assert found[name] == pytest.approx(expected[name], rel=0.05)
    assert np.isfinite(list(found.values())).all()


def test_proposals_by_loop(rng):
    """Level by level: the best, cut off at the image, suppressed; then the best of all."""
    sizes, image = [30, 12], (40, 50)
    corner = rng.uniform(-5, 40, (42, 2))
    anchors = np.concatenate([corner, corner + rng.uniform(2, 45, (42, 2))], 1).astype("float32")
    logits = rng.normal(size=(2, 42)).astype("float32")
    offsets = np.zeros((2, 42, 4), "float32")
    found = propose(
        logits,
        offsets,
        anchors,
        level_sizes=sizes,
        image_size=image,
        pre_nms=15,
        post_nms=26,
        iou_threshold=0.3,
    )
    cut = np.clip(anchors, 0, [50, 40, 50, 40])
    for number in range(2):
        rows = []
        for start, count in ((0, 30), (30, 12)):
            best = start + np.argsort(-logits[number, start : start + count])[:15]
            best = [i for i in best if (cut[i, 2:] - cut[i, :2] > 1e-3).all()]
            kept = suppressed_by_loop(
                cut[best], logits[number][best], iou_threshold=0.3, max_output=26
            )
            rows += [best[i] for i in kept]
        rows = sorted(rows, key=lambda i: -logits[number, i])[:26]
        assert 10 < len(rows) < 26
        np.testing.assert_allclose(found[number, : len(rows)], cut[rows], atol=1e-4)
        assert not np.any(ops.convert_to_numpy(found)[number, len(rows) :])


def test_proposal_losses_by_loop(rng):
    """Of all anchors, one by one."""
    anchors = np.array(
        [[x, y, x + s, y + s] for s in (10, 20) for x in range(0, 40, 5) for y in range(0, 40, 5)],
        "float32",
    )
    truth = np.array([[3, 4, 14, 13], [15, 20, 33, 41], [28, 0, 60, 30]], "float32")
    crowd = np.array([False, False, True])
    logits = rng.normal(size=len(anchors)).astype("float32")
    offsets = rng.normal(size=(len(anchors), 4)).astype("float32")
    targets = {"boxes": truth[None], "labels": np.array([[0, 1, 2]]), "crowd": crowd[None]}
    found = proposal_losses(
        logits[None],
        offsets[None],
        anchors,
        targets,
        np.array([5]),
        size=200,
        positive_fraction=1.0,
    )
    iou = ops.convert_to_numpy(pairwise_iou(truth[:2], anchors))
    best = iou.max(axis=1)
    entropy, distance, count, left_out = 0.0, 0.0, 0, 0
    for i, anchor in enumerate(anchors):
        matched = iou[:, i].max() >= 0.7 or any(iou[j, i] == best[j] for j in range(2))
        shared = np.minimum(anchor[2:], truth[2, 2:]) - np.maximum(anchor[:2], truth[2, :2])
        in_crowd = np.prod(np.maximum(shared, 0)) >= 0.5 * np.prod(anchor[2:] - anchor[:2])
        if not matched and (iou[:, i].max() >= 0.3 or in_crowd):
            left_out += bool(in_crowd)
            continue
        count += 1
        entropy += np.log1p(np.exp(-logits[i] if matched else logits[i]))
        if matched:
            box, (w, h) = truth[iou[:, i].argmax()], anchor[2:] - anchor[:2]
            shift = (box[:2] + box[2:] - anchor[:2] - anchor[2:]) / 2 / [w, h]
            wanted = [*shift, *np.log((box[2:] - box[:2]) / [w, h])]
            for x in np.abs(offsets[i] - wanted):
                distance += 4.5 * x * x if x < 1 / 9 else x - 0.5 / 9
    assert left_out > 5
    assert float(found["objectness_loss"]) == pytest.approx(entropy / count, rel=1e-5)
    assert float(found["proposal_box_loss"]) == pytest.approx(distance / count, rel=1e-5)


def test_mask_head_is_one_map_of_all(rng):
    head = MaskHead(CLASSES, filters=6, depth=2)
    regions = rng.normal(size=(2, 3, 5, 5, 4)).astype("float32")
    classes = np.array([[0, 2, 1], [2, -1, 0]])
    found = head(regions, classes)
    x = regions.reshape(6, 5, 5, 4)
    for layer in (*head.convs, head.larger, head.logits):
        x = layer(x)
    every = ops.convert_to_numpy(x).reshape(2, 3, 10, 10, CLASSES + 1)
    for i in range(2):
        for j in range(3):
            kind = max(classes[i, j] + 1, 0)
            np.testing.assert_allclose(found[i, j], every[i, j, :, :, kind], atol=1e-5)


def test_frozen_taps_are_the_models(rng):
    images = rng.uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    model = backbone()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    names = ["four", "sixteen"]
    frozen = feature_taps(model, names, freeze_norms=True)
    found, expected = frozen(images, training=True), feature_taps(model, names)(images)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert len(frozen.trainable_weights) == 2 * 4
    assert len(feature_taps(model, names).trainable_weights) == 4 * 4


@slow_on_jax
@pytest.mark.parametrize("name", [name for name in BUILDERS if "mobilenet" in name])
def test_backbone_takes_a_classifiers_weights(name):
    model = getattr(detection, name)(input_shape=(64, 64, 3), num_classes=2)
    checkpoint = classifiers.checkpoint("mobilenet_v2")
    weights.load_torchvision(model.backbone, checkpoint, skip=("classifier.",))
    kernel = checkpoint["features.18.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(model.backbone.get_layer("features_18_0").kernel, kernel)
    assert [x.shape[1:] for x in model.backbone.outputs] == [
        *((16, 16, 24), (8, 8, 32), (4, 4, 96), (2, 2, 1280))
    ]
    half = getattr(detection, name)(input_shape=(64, 64, 3), num_classes=2, width=0.5)
    assert (half.numbers["fpn_filters"], half.numbers["head_units"]) == (32, 128)


def test_cost_is_counted():
    report = cost.report(tiny(), (SIDE, SIDE, 3))
    assert report.macs > 1e6
    assert report.trainable_parameters == sum(
        int(np.prod(w.shape)) for w in tiny().trainable_weights
    )


@pytest.mark.slow
def test_learns_four_images_by_heart():
    images, targets = scenes(4)
    # Rectangles, each filling its box.
    targets = {**targets, "masks": np.ones_like(targets["masks"])}
    model = MaskRCNN(
        feature_taps(backbone(), ["four", "eight", "sixteen"]),
        num_classes=CLASSES,
        trains_norms=True,
        **{**NUMBERS, "fpn_filters": 32, "head_units": 64, "anchor_samples": 64},
        mask_filters=16,
        mask_depth=2,
    )
    metric = MeanAveragePrecision(CLASSES, 4, max_boxes=4, max_detections=6)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, 400)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0), metrics=[metric])
    repeated = [
        np.concatenate([images] * 25),
        {k: np.concatenate([v] * 25) for k, v in targets.items()},
    ]
    history = model.fit(*repeated, batch_size=4, epochs=16, verbose=0).history
    figures = model.evaluate(images, targets, batch_size=4, return_dict=True, verbose=0)
    print(history["loss"], figures)
    assert figures["mAP@50"] > 0.9
    masks = model.predict(images, verbose=0)["masks"][:, :3]
    assert np.mean(masks > 0.5) > 0.9


def test_options_are_checked():
    with pytest.raises(ValueError, match="`options` must be of fpn_filters, .*, got proposals"):
        tiny(proposals=3)
    with pytest.raises(ValueError, match=r"`pre_nms` must be two positive integers .*, got 40"):
        tiny(pre_nms=40)
    with pytest.raises(ValueError, match="`anchor_sizes` must be one more than .* 3 maps, got 2"):
        tiny(anchor_sizes=((8,), (16,)))
    with pytest.raises(ValueError, match="`names` must be of layers of tiny, got none_such"):
        feature_taps(backbone(), ["four", "none_such"])
    images = keras.Input((60, 64, 3))
    maps = [layers.Conv2D(4, 3, 8, padding="same")(images)]
    with pytest.raises(ValueError, match=r"`backbone` must shrink .* got \(60, 64\) to \(8, 8\)"):
        FasterRCNN(keras.Model(images, maps), num_classes=2)
    with pytest.raises(ValueError, match="`num_classes` must be a positive integer, got 0"):
        detection.fasterrcnn_resnet50_fpn(num_classes=0)
