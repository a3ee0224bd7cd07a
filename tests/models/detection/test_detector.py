"""Metrics of detections live inside stock `fit` and `evaluate`."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.metrics import MeanAveragePrecision
from kerakit.models.detection import Detector

pytest.importorskip("hotcoco")
BACKEND = keras.backend.backend()


@keras.saving.register_keras_serializable(package="tests")
class OneBox(Detector):
    """Regresses one box from an image that is uniform but for it: as small as can be."""

    def __init__(self, masks=False, **kwargs):
        super().__init__(loss_parts=("raw_loss",), **kwargs)
        self.masks = masks
        self.box = keras.layers.Dense(4, name="box")

    def build(self, input_shape):
        self.box.build((None, 4))
        self.built = True

    def call(self, images, training=None):
        sides = ops.concatenate([ops.mean(images, axis=1), ops.mean(images, axis=2)], axis=-1)
        sides = ops.reshape(sides, (-1, 32))
        features = ops.stack(
            [
                ops.sum(sides[:, :16] * ops.arange(16.0), -1),
                ops.sum(sides[:, 16:] * ops.arange(16.0), -1),
                ops.sum(sides[:, :16], -1),
                ops.sum(sides[:, 16:], -1),
            ],
            axis=-1,
        )
        raw = self.box(features)
        outputs = {"raw": raw}
        if training:
            return outputs
        boxes = ops.stack([raw, raw + 1.0], axis=1)
        scores = ops.sigmoid(raw[:, :1] - 4.0)
        scores = ops.concatenate([scores, scores / 2], axis=1)
        outputs |= {"boxes": boxes, "scores": scores}
        outputs["classes"] = ops.zeros(ops.shape(scores), "int32")
        if self.masks:
            x = ops.arange(16.0) + 0.5
            across = (x > boxes[..., :1]) & (x < boxes[..., 2:3])
            down = (x > boxes[..., 1:2]) & (x < boxes[..., 3:])
            outputs["masks"] = across[..., None, :] & down[..., :, None]
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        raw_loss = ops.mean(ops.square(y_pred["raw"] - y["boxes"][:, 0]))
        return self.total_loss({"raw_loss": raw_loss}, y=y)

    def get_config(self):
        return {**super().get_config(), "masks": self.masks}


def scenes(rng, count):
    corner = rng.integers(0, 8, (count, 2))
    box = np.concatenate([corner, corner + rng.integers(3, 8, (count, 2))], axis=-1)
    pixel = np.arange(16)
    masks = (pixel >= box[:, None, :1]) & (pixel < box[:, None, 2:3])
    masks = masks & ((pixel >= box[:, None, 1:2]) & (pixel < box[:, None, 3:])).swapaxes(1, 2)
    targets = {
        "boxes": np.concatenate([box[:, None], np.zeros((count, 1, 4))], 1).astype("float32"),
        "labels": np.stack([np.zeros(count), np.full(count, -1)], 1).astype("int32"),
        "masks": np.stack([masks, np.zeros_like(masks)], 1).astype("uint8"),
        "example_id": np.arange(count).astype("int32"),
    }
    return masks.astype("float32"), targets


def metric_of(count, *, masks=False, **more):
    kind = {"iou_type": "segm", "mask_size": (16, 16)} if masks else {}
    return MeanAveragePrecision(1, count, max_boxes=3, max_detections=2, **kind, **more)


def detector(count, *, masks=False, **options):
    model = OneBox(masks)
    model.build((None, 16, 16))
    # At the least-squares solution up to a small error: figures between 0 and 1.
    images, targets = scenes(np.random.default_rng(1), 64)
    features = np.stack(
        [
            (images.mean(1) * np.arange(16)).sum(-1),
            (images.mean(2) * np.arange(16)).sum(-1),
            images.mean(1).sum(-1),
            images.mean(2).sum(-1),
        ],
        axis=-1,
    )
    features = np.concatenate([features, np.ones((64, 1))], -1)
    solution = np.linalg.lstsq(features, targets["boxes"][:, 0], rcond=None)[0]
    model.box.set_weights([solution[:4], solution[4]])
    options = {"metrics": [metric_of(count, masks=masks)], **options}
    model.compile(keras.optimizers.SGD(1e-3), **options)
    return model


def figures_by_hand(model, images, targets, **options):
    """The same figures from `predict` and one update outside of any step."""
    metric = metric_of(len(images), **options)
    metric.update_state(targets, model.predict(images, verbose=0))
    return metric.result()


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "xla"])
def test_fit_reports_it_before_callbacks_read_the_logs(rng, tmp_path, jit_compile, masks):
    if jit_compile and BACKEND == "torch":
        pytest.skip("there jit_compile is torch.compile, which warns inside Keras's own step")
    images, targets = scenes(rng, 22)
    model = detector(22, masks=masks, jit_compile=jit_compile)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        monitor="val_mAP",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )
    stop = keras.callbacks.EarlyStopping("val_mAP", mode="max", min_delta=2.0, patience=2)
    history = model.fit(
        images,
        targets,
        validation_data=(images, targets),
        batch_size=4,
        epochs=5,
        verbose=0,
        callbacks=[best, stop],
    ).history
    assert len(history["val_mAP"]) == 3  # no mAP rises by 2
    assert set(history) == {
        *("loss", "raw_loss", "val_loss", "val_raw_loss"),
        *(f"val_{name}" for name in metric_of(1).result()),
    }
    expected = figures_by_hand(model, images, targets, masks=masks)
    assert 0.05 < expected["mAP"] < 0.95
    assert {name: history[f"val_{name}"][-1] for name in expected} == pytest.approx(
        expected, abs=1e-9
    )
    assert best.best == max(history["val_mAP"])
    model.load_weights(tmp_path / "best.weights.h5")
    logs = model.evaluate(images, targets, batch_size=7, return_dict=True, verbose=0)
    assert logs["mAP"] == pytest.approx(max(history["val_mAP"]), abs=1e-9)


def test_order_and_padding_make_no_difference(rng):
    images, targets = scenes(rng, 12)
    model = detector(12)
    expected = model.evaluate(images, targets, batch_size=5, return_dict=True, verbose=0)
    assert 0.05 < expected["mAP"] < 0.95
    order = np.r_[rng.permutation(12), 3, 3]
    weights = np.r_[np.ones(12), 0, 0]
    logs = model.evaluate(
        images[order],
        {name: value[order] for name, value in targets.items()},
        sample_weight=weights,
        batch_size=2,
        return_dict=True,
        verbose=0,
    )
    for figures in (expected, logs):
        del figures["loss"], figures["raw_loss"]  # of batches of another size
    assert logs == expected


def test_steps_do_not_read_the_metric(rng, monkeypatch):
    """Not even steps that are not traced, where reading it would take its time every time."""
    images, targets = scenes(rng, 8)
    model = detector(8, run_eagerly=True)
    reads = []
    table = MeanAveragePrecision._table
    monkeypatch.setattr(
        MeanAveragePrecision, "_table", lambda self: (reads.append(1), table(self))[1]
    )
    logs = model.evaluate(images, targets, batch_size=2, return_dict=True, verbose=0)
    assert len(reads) == 1
    assert logs["mAP"] == figures_by_hand(model, images, targets)["mAP"]


def test_saved_with_its_metric(rng, tmp_path):
    images, targets = scenes(rng, 8)
    model = detector(8)
    expected = model.evaluate(images, targets, return_dict=True, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    logs = again.evaluate(images, targets, return_dict=True, verbose=0)
    assert logs == pytest.approx(expected, rel=1e-6)


def test_compiling_again_replaces_the_metric(rng):
    images, targets = scenes(rng, 8)
    model = detector(8)
    before = len(model.variables)
    model.compile("sgd", metrics=[metric_of(8, style="voc")])
    logs = model.evaluate(images, targets, return_dict=True, verbose=0)
    assert set(logs) == {"loss", "raw_loss", "mAP", "mAP/11-point"}
    assert len(model.variables) <= before  # its buffers are no variables of the model


def test_other_metrics_of_detections(rng):
    class Found(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            return super().update_state(y_pred["scores"][:, 0] > 0.0)

    images, targets = scenes(rng, 8)
    model = detector(8, metrics=[Found(name="found")])
    logs = model.evaluate(images, targets, return_dict=True, verbose=0)
    assert logs["found"] == 1.0


def test_metrics_are_objects():
    with pytest.raises(ValueError, match="`metrics` must be keras.metrics.Metric objects, got 'a'"):
        OneBox().compile(metrics=["a"])


def test_an_uncompiled_model_has_no_metrics():
    model = OneBox()
    assert [metric.name for metric in model.metrics] == ["raw_loss"]
    assert model.get_compile_config() == {}


def test_a_plain_model_refuses_it(rng):
    """The docstring says so; when Keras changes, the class may go."""

    class Plain(OneBox):
        compile = keras.Model.compile
        compute_metrics = keras.Model.compute_metrics
        metrics = keras.Model.metrics

    images, targets = scenes(rng, 4)
    model = Plain()
    model.compile("sgd", metrics=[metric_of(4)])
    with pytest.raises(ValueError, match="metrics"):
        model.evaluate(images, targets, verbose=0)


# The two devices must be made before the backend begins: a process of its own.
START = {
    "tensorflow": """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
""",
    "jax": """
import keras
scope = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"]).scope()
""",
}
REPLICAS = """
import json
import numpy as np
from tests.models.detection import test_detector as one

images, targets = one.scenes(np.random.default_rng(0), 11)
# Batches that two devices can share: the last is filled up with an image of weight 0.
filled = {name: np.concatenate([value, value[:1]]) for name, value in targets.items()}
data = (np.concatenate([images, images[:1]]), filled, np.r_[np.ones(11), 0])
with scope:
    model = one.detector(11, masks=True)
    history = model.fit(*data[:2], validation_data=data, batch_size=4, epochs=2, verbose=0).history
    logs = model.evaluate(
        *data[:2], sample_weight=data[2], batch_size=4, return_dict=True, verbose=0
    )
    detections = model.predict(data[0], batch_size=4, verbose=0)
    again = one.trained_on_eight(images, targets)
metric = one.metric_of(11, masks=True)
metric.update_state(targets, {name: value[:11] for name, value in detections.items()})
validation = {name[4:]: values[-1] for name, values in history.items() if name[:4] == "val_"}
weights = [weight.tolist() for weight in again.get_weights()]
print(json.dumps({
    "fit": validation, "evaluate": logs, "expected": metric.result(), "weights": weights,
}))
"""


def trained_on_eight(images, targets):
    model = detector(11, masks=True)
    eight = {name: value[:8] for name, value in targets.items()}
    model.fit(images[:8], eight, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.skipif(BACKEND not in START, reason="torch has no distribution in Keras")
def test_two_replicas_give_the_figures_of_one():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START[BACKEND] + REPLICAS],
        cwd=pathlib.Path(__file__).parents[3],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    expected = found["expected"]
    assert 0.05 < expected["mAP"] < 0.95
    for logs in (found["fit"], found["evaluate"]):
        assert {name: logs[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    # Gradients of replicas are added: the loss of each must be its part of the whole.
    alone = trained_on_eight(*scenes(np.random.default_rng(0), 11)).get_weights()
    for one, other in zip(alone, found["weights"], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_a_part_of_the_loss_stands_in_the_logs(rng):
    images, targets = scenes(rng, 4)
    logs = detector(4).fit(images, targets, verbose=0).history
    assert logs["raw_loss"] == pytest.approx(logs["loss"])


def test_boxes_go_back_to_the_original_pixels(rng):
    """By the letterbox of a 40 x 80 image in 64 x 64, written out."""
    model = OneBox(masks=True)
    y = {
        "boxes": np.array([[[8.0, 16.0, 24.0, 32.0]]], "float32"),
        "labels": np.array([[1]]),
        "example_id": np.array([0]),
        "geometry": np.array([[0.8, 0.8, 16.0, 0.0]], "float32"),
        "image_size": np.array([[40, 80]]),
        "full_masks": np.zeros((1, 1, 40, 80), "uint8"),
    }
    found = {
        "boxes": np.array([[[4.0, 8.0, 16.0, 60.0]]], "float32"),
        "scores": np.array([[0.9]], "float32"),
        "classes": np.array([[1]]),
        "masks": np.ones((1, 1, 4, 4), "float32"),
    }
    truth, moved = model.scored(None, y, found)
    np.testing.assert_allclose(truth["boxes"], [[[10, 0, 30, 20]]], rtol=1e-6)
    # Cut off at the image's border, as the truth is not.
    np.testing.assert_allclose(moved["boxes"], [[[5, 0, 20, 40]]], rtol=1e-6)
    masks = np.asarray(moved["masks"])[0, 0]
    assert masks[2:38, 7:18].all()
    assert not masks[:, 21:].any()
    assert truth["masks"] is y["full_masks"]
