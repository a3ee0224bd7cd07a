"""R-CNN: warping, targets and each stage against something independent; then all together."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit.models.detection.rcnn import RCNN, hinge, rcnn
from kerakit.models.detection.rcnn_stages import LENGTH, fit_box_regression, fit_svms
from kerakit.models.detection.region_classifier import RegionClassifier
from kerakit.models.detection.region_table import region_table, region_targets
from kerakit.models.detection.region_warping import warp_regions
from tests.models.detection.rectangles import average_overlap, drawn, proposals_around

BACKEND = keras.backend.backend()


def warped_by_loop(image, box, size, context, fill):
    """Each pixel of the crop looked up for itself."""
    height, width, _ = image.shape
    crop = np.zeros((size, size, image.shape[2]))
    inner = size - 2 * context
    for i in range(size):
        for j in range(size):
            y = box[1] + (i + 0.5 - context) * (box[3] - box[1]) / inner - 0.5
            x = box[0] + (j + 0.5 - context) * (box[2] - box[0]) / inner - 0.5
            if not (-1 <= y <= height and -1 <= x <= width):
                crop[i, j] = fill
                continue
            y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            top, left = int(y), int(x)
            for row, of_row in ((top, 1 - (y - top)), (top + 1, y - top)):
                for column, of_column in ((left, 1 - (x - left)), (left + 1, x - left)):
                    weight = of_row * of_column
                    if weight:
                        crop[i, j] += weight * image[row, column]
    return crop


def network(size=16):
    crops = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(crops)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    x = layers.Conv2D(16, 3, 2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(crops, layers.Dense(24, activation="relu", name="features")(x))


def model_of(num_classes=2, **options):
    options = {"context": 2, "regions_at_once": 4, **options}
    return rcnn(
        num_classes=num_classes,
        input_shape=(48, 64, 3),
        backbone=network(),
        tap="features",
        **options,
    )


@pytest.mark.parametrize("context", [0, 3])
def test_warping_equals_the_loop(rng, context):
    images = rng.uniform(0, 255, (2, 20, 30, 3)).astype("float32")
    boxes = [
        [[3, 4, 17, 12], [-6, -3, 8, 9], [22, 10, 30, 20]],
        [[0, 0, 30, 20], [5.5, 6.2, 9, 8], [9, 9, 21, 21]],
    ]
    fill = (100.0, 50.0, 20.0)
    found = warp_regions(images, np.array(boxes, "float32"), size=11, context=context, fill=fill)
    for image, own, crops in zip(images, boxes, ops.convert_to_numpy(found), strict=True):
        for box, crop in zip(own, crops, strict=True):
            expected = warped_by_loop(image, box, 11, context, fill)
            np.testing.assert_allclose(crop, expected, atol=2e-3)  # 255 in float32, 7 digits


def test_context_must_leave_something():
    with pytest.raises(ValueError, match=r"`context` must be in \[0, 8 / 2\), got 4"):
        warp_regions(np.zeros((1, 8, 8, 3)), np.zeros((1, 1, 4)), size=8, context=4)


def iou_of(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def targets_by_loop(regions, boxes, labels, crowd, num_classes):
    objects = [n for n, label in enumerate(labels) if label >= 0 and not crowd[n]]
    svm, classes, offsets = [], [], []
    for region in regions:
        row, nearest = [], max(objects, key=lambda n: iou_of(region, boxes[n]), default=None)
        area = (region[2] - region[0]) * (region[3] - region[1])
        left_out = area <= 0
        for n in np.flatnonzero(crowd & (labels >= 0)):
            width = min(region[2], boxes[n][2]) - max(region[0], boxes[n][0])
            height = min(region[3], boxes[n][3]) - max(region[1], boxes[n][1])
            left_out |= area > 0 and max(width, 0) * max(height, 0) / area >= 0.5
        for k in range(num_classes):
            own = [n for n in objects if labels[n] == k]
            if left_out:
                row.append(0)
            elif any((region == boxes[n]).all() for n in own):
                row.append(1)
            else:
                row.append(-1 if all(iou_of(region, boxes[n]) < 0.3 for n in own) else 0)
        svm.append(row)
        near = nearest is not None and not left_out and iou_of(region, boxes[nearest]) > 0.6
        classes.append(labels[nearest] if near else -1)
        if near:
            w, h = region[2:] - region[:2]
            centre, other = (
                (region[:2] + region[2:]) / 2,
                (boxes[nearest][:2] + boxes[nearest][2:]) / 2,
            )
            sides = boxes[nearest][2:] - boxes[nearest][:2]
            offsets.append([*((other - centre) / [w, h]), *np.log(sides / [w, h])])
    return np.array(svm), np.array(classes), np.array(offsets)


def test_targets_equal_the_loop(rng):
    _, truth = drawn(rng, 6)
    truth["crowd"] = rng.uniform(size=truth["labels"].shape) < 0.3
    proposals = proposals_around(rng, truth, 20)
    regions = np.concatenate([proposals, truth["boxes"]], axis=1)
    found = {
        k: ops.convert_to_numpy(v) for k, v in region_targets(regions, truth, num_classes=2).items()
    }
    kinds = set()
    for n in range(6):
        svm, classes, offsets = targets_by_loop(
            regions[n], truth["boxes"][n], truth["labels"][n], truth["crowd"][n], 2
        )
        np.testing.assert_array_equal(found["svm_targets"][n], svm)
        np.testing.assert_array_equal(found["box_classes"][n], classes)
        np.testing.assert_allclose(
            found["box_offsets"][n][classes >= 0], offsets.reshape(-1, 4), atol=1e-5
        )
        kinds |= set(svm.ravel()) | {f"box {c}" for c in classes}
    assert kinds == {-1, 0, 1, "box -1", "box 0", "box 1"}


def test_hinge_leaves_out_what_has_no_target():
    targets = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    margins = np.array([[0.5, 9.0, 0.25], [1.0, 2.0, 3.0]])
    assert float(hinge(targets, margins)) == pytest.approx((0.5 + 1.25) / 2)


def blobs(rng, count=400, width=6):
    """Features of three classes that overlap, and targets of each against the rest."""
    centres = rng.normal(size=(3, width)) * 1.2 + 3
    kinds = rng.integers(0, 4, count)
    features = rng.normal(size=(count, width)) + np.r_[centres, [np.zeros(width)]][kinds]
    targets = np.where(kinds[:, None] == np.arange(3), 1.0, -1.0)
    targets[rng.uniform(size=targets.shape) < 0.1] = 0.0
    return features.astype("float32"), targets


class Heads:
    """The two layers of an `RCNN` that are fitted, without its network."""

    def __init__(self, width, num_classes):
        self.num_classes = num_classes
        self.svms = layers.Dense(num_classes)
        self.box_regression = layers.Dense(4 * num_classes)
        for layer in (self.svms, self.box_regression):
            layer.build((None, width))


def test_svms_reach_the_optimum_of_scikit_learn(rng):
    svm = pytest.importorskip("sklearn.svm")
    features, targets = blobs(rng)
    model = Heads(6, 3)
    found = fit_svms(
        model,
        {"features": features, "svm_targets": targets},
        cost=0.01,
        epochs=40,
        batch_size=100,
        verbose=0,
    )
    scale = LENGTH / np.linalg.norm(features, axis=1).mean()
    expected, margins = 0.0, []
    for k in range(3):
        used = targets[:, k] != 0
        # `LinearSVC` is this but for the bias, which it penalises.
        peer = svm.SVC(C=0.01, kernel="linear", tol=1e-6)
        peer.fit(features[used] * scale, targets[used, k])
        margin = peer.decision_function(features * scale)
        losses = np.abs(targets[:, k]) * np.maximum(0, 1 - targets[:, k] * margin)
        expected += 0.5 * (peer.coef_**2).sum() + 0.01 * losses.sum()
        margins.append(margin)
    assert found["objective"] == pytest.approx(expected, rel=1e-2)
    own = ops.convert_to_numpy(model.svms(features))
    assert np.mean((own > 0) == (np.stack(margins, 1) > 0)) > 0.99


@pytest.mark.slow
def test_hard_negatives_join(rng):
    features, targets = blobs(rng, count=600)
    table = {"features": features, "svm_targets": targets}
    settings = {"cost": 0.01, "epochs": 30, "batch_size": 100, "verbose": 0}
    everything = fit_svms(Heads(6, 3), table, **settings)
    few = fit_svms(Heads(6, 3), table, negatives=20, passes=0, **settings)
    mined = fit_svms(Heads(6, 3), table, negatives=20, passes=2, **settings)
    assert few["regions"] < mined["regions"] < everything["regions"] <= 600
    # What is left out has no loss, so that nearly the same optimum is found.
    assert few["objective"] > 1.1 * everything["objective"]
    assert mined["objective"] < 1.02 * everything["objective"]


def test_box_regression_is_ridge_regression(rng):
    features = rng.uniform(0, 3, (90, 7)).astype("float32")
    classes = rng.integers(-1, 2, 90)
    offsets = features @ rng.normal(size=(7, 4)) + rng.normal(size=(90, 4)) * 0.1 + 0.5
    model = Heads(7, 3)
    counts = fit_box_regression(
        model,
        {"features": features, "box_classes": classes, "box_offsets": offsets},
        penalty=10.0,
    )
    assert counts.tolist() == [*np.bincount(classes[classes >= 0], minlength=2), 0]
    scale = LENGTH / np.linalg.norm(features[classes >= 0], axis=1).mean()
    found = ops.convert_to_numpy(model.box_regression(features)).reshape(90, 3, 4)
    for k in range(2):
        # As least squares with rows that ask for no weight, all but the bias'.
        x = features[classes == k].astype("float64") * scale
        above = np.c_[x, np.ones(len(x))]
        below = np.c_[np.sqrt(10.0) * np.eye(7), np.zeros(7)]
        rows = np.r_[above, below], np.r_[offsets[classes == k], np.zeros((7, 4))]
        solution = np.linalg.lstsq(*rows, rcond=None)[0]
        expected = np.c_[features * scale, np.ones(90)] @ solution
        np.testing.assert_allclose(found[:, k], expected, atol=1e-4)
    np.testing.assert_array_equal(found[:, 2], 0)


@pytest.mark.slow
def test_groups_of_regions_make_no_difference(rng):
    images, truth = drawn(rng, 2)
    proposals = proposals_around(rng, truth, 10)
    features = []
    for at_once in (3, 10, 64):
        keras.utils.set_random_seed(3)
        model = model_of(regions_at_once=at_once)
        features.append(ops.convert_to_numpy(model.region_features(images, proposals)))
    np.testing.assert_allclose(features[0], features[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(features[2], features[1], rtol=1e-4, atol=1e-4)
    assert features[0].std() > 0.01


@pytest.mark.slow
def test_all_stages_find_rectangles(rng, tmp_path):
    images, truth = drawn(rng, 24)
    inputs = {"images": images, "proposals": proposals_around(rng, truth, 24)}
    model = model_of()
    network = RegionClassifier(model)
    network.compile(keras.optimizers.Adam(3e-3))
    losses = network.fit(inputs, truth, batch_size=8, epochs=15, verbose=0).history["class_loss"]
    assert losses[-1] < 0.5 * losses[0]

    table = region_table(model, [(inputs, truth)], verbose=0)
    assert (table["svm_targets"] > 0).sum() == (truth["labels"] >= 0).sum()
    fit_svms(model, table, cost=0.1, epochs=20, verbose=0)
    before = average_overlap(model.predict(inputs, verbose=0), truth)
    fit_box_regression(model, table, penalty=10.0)
    found = model.predict(inputs, verbose=0)
    assert set(found) == {"boxes", "scores", "classes", "num_detections"}
    # Proposals are off by 12 % of their sides: the regression is what moves them.
    after = average_overlap(found, truth)
    assert after > before + 0.05 > 0.6

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").predict(inputs, verbose=0)
    for name, values in found.items():
        np.testing.assert_allclose(again[name], values, atol=1e-5)


@pytest.mark.slow
def test_evaluate_gives_the_loss_of_the_machines(rng):
    images, truth = drawn(rng, 4)
    inputs = {"images": images, "proposals": proposals_around(rng, truth, 12)}
    model = model_of()
    model.compile()
    logs = model.evaluate(inputs, truth, batch_size=4, return_dict=True, verbose=0)
    margins = model.svms(model.region_features(images, inputs["proposals"]))
    targets = region_targets(inputs["proposals"], truth, num_classes=2)["svm_targets"]
    assert logs["hinge_loss"] == pytest.approx(float(hinge(targets, margins)), rel=1e-4)
    assert logs["hinge_loss"] > 0.1
    with pytest.raises(ValueError, match="`RCNN` is trained in stages"):
        model.fit(inputs, truth, verbose=0)


def test_padding_and_boxes_of_no_area_are_finite(rng):
    images, truth = drawn(rng, 2)
    proposals = proposals_around(rng, truth, 6)
    proposals[0] = 0
    proposals[1, 2] = [5, 5, 5, 20]
    found = model_of(score_threshold=0.0).predict(
        {"images": images, "proposals": proposals}, verbose=0
    )
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["num_detections"][0] == 0
    assert (found["classes"][0] == -1).all()
    assert found["num_detections"][1] > 0


def test_the_network_ends_in_a_vector():
    whole = network()
    maps = keras.Model(whole.input, whole.layers[2].output)
    with pytest.raises(ValueError, match="`features` must be from square crops to vectors"):
        RCNN(maps, num_classes=2, input_shape=(48, 64, 3))


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="there jit_compile is torch.compile")
def test_xla_gives_the_same(rng):
    images, truth = drawn(rng, 2)
    inputs = {"images": images, "proposals": proposals_around(rng, truth, 10)}
    model = model_of(score_threshold=0.0)
    found = []
    for jit_compile in (False, True):
        model.compile(jit_compile=jit_compile)
        found.append(model.predict(inputs, verbose=0))
    assert (found[0]["num_detections"] > 3).all()
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-4, atol=1e-4)
