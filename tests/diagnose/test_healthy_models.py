"""Well-known networks at their start, on photo-like images: nothing worse than a hint."""

import keras
import numpy as np
import pytest

from kerakit import losses, models
from kerakit.diagnose import before_training
from kerakit.diagnose.before import RULES
from kerakit.diagnose.looked import look

classification, video = models.classification, models.video


def photos(count, size, rng):
    """Smooth images of 0 to 255, (count, size, size, 3)."""
    coarse = rng.uniform(20, 235, size=(count, 6, 6, 3)).astype("float32")
    smooth = keras.ops.convert_to_numpy(keras.ops.image.resize(coarse, (size, size)))
    return np.clip(smooth + rng.normal(size=smooth.shape) * 10, 0, 255).astype("float32")


def classifier(build, size=64, count=16, **options):
    def made(rng):
        model = build(input_shape=(size, size, 3), num_classes=10, **options)
        return model, photos(count, size, rng), np.arange(count) % 10, None

    return made


def application(name, size=64, count=16, scales=False):
    def made(rng):
        model = getattr(keras.applications, name)(
            input_shape=(size, size, 3), weights=None, classes=10, classifier_activation=None
        )
        x = photos(count, size, rng)
        return model, x if scales else x / 127.5 - 1, np.arange(count) % 10, None

    return made


def clips(build):
    def made(rng):
        model = build(input_shape=(8, 32, 32, 3), num_classes=5)
        x = np.stack([photos(8, 32, rng) for _ in range(4)])
        return model, x, np.arange(4), None

    return made


def segmenter(build, **options):
    def made(rng):
        y = np.zeros((4, 64, 64), "int32")
        y[:, 10:40, 10:40], y[:, 40:50, 40:50], y[:, 0] = 1, 2, 255
        model = build(input_shape=(64, 64, 3), num_classes=4, **options)
        return model, photos(4, 64, rng), y, losses.PixelCrossEntropy()

    return made


def detector(rng):
    boxes = np.array([[5, 5, 30, 30], [10, 20, 50, 60], [0, 0, 0, 0]], "float32")
    targets = {"boxes": np.tile(boxes, (4, 1, 1)), "labels": np.tile([0, 2, -1], (4, 1))}
    model = models.detection.yolo_n(input_shape=(64, 64, 3), num_classes=3)
    return model, photos(4, 64, rng), targets, "its own"


MODELS = {
    "resnet18": classifier(classification.resnet18),
    "vit_ti_16": classifier(classification.vit_ti_16),
    "vgg16": classifier(classification.vgg16, width=0.25),
    "vgg16_bn": classifier(classification.vgg16_bn, width=0.25),
    "mobilenet_v2": classifier(classification.mobilenet_v2),
    "densenet121": classifier(classification.densenet121),
    "googlenet": classifier(classification.googlenet),
    "unet": segmenter(models.segmentation.unet, padding="same"),
    "segnet": segmenter(models.segmentation.segnet),
    "r3d_18": clips(video.r3d_18),
    "yolo_n": detector,
    "VGG16": application("VGG16"),
    "MobileNetV2": application("MobileNetV2"),
    "ResNet50V2": application("ResNet50V2"),
    "EfficientNetB0": application("EfficientNetB0", scales=True),
}
QUICK = ("resnet18", "vit_ti_16")


def compiled_model(name, rng):
    model, x, y, loss = MODELS[name](rng)
    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=None if loss == "its own" else loss)
    return model, x, y


NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]


@pytest.mark.parametrize("name", NAMES)
def test_quiet(name, rng):
    model, x, y = compiled_model(name, rng)
    found = before_training(model, x, y)
    assert found.quiet, str(found)
    looked = look(model, x, y)
    for rule in RULES:
        rule(looked)  # silent, and not because it failed


@pytest.mark.slow
def test_a_detectors_labels_and_boxes(rng):
    model, x, y = compiled_model("yolo_n", rng)
    wrong = before_training(model, x, y | {"labels": y["labels"] + 1}).first
    assert (wrong.rule, wrong.severity) == ("labels_out_of_range", "error")
    swapped = before_training(model, x, y | {"boxes": y["boxes"][..., ::-1]}).first
    assert swapped.message == "8 of 8 boxes are empty or not x1, y1, x2, y2."


def test_pixels_normalised_before_a_model_that_normalises(rng):
    model, x, y = compiled_model("resnet18", rng)
    found = before_training(model, x / 255, y).first
    assert (found.rule, found.severity) == ("inputs_not_normalised", "warning")
    assert found.message.endswith("scaled twice?")
