"""Torchvision's two-stage detectors and kerakit's, under the same weights by name."""

import keras
import numpy as np
import pytest

from kerakit import weights
from kerakit.models import detection
from tests.golden import two_stage as cases
from tests.golden.two_stage import golden

# Published: torchvision's table of models.
PUBLISHED = {"fasterrcnn_resnet50_fpn": 41_755_286, "maskrcnn_resnet50_fpn": 44_401_393}
FASTER, MASK = cases.MODELS
EACH = [FASTER, pytest.param(MASK, marks=pytest.mark.slow)]
pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="compiling takes a minute on JAX; the tests of small ones run there",
)
PARTS = ("objectness_loss", "proposal_box_loss", "class_loss", "box_loss", "mask_loss")


def network(name):
    model = getattr(detection, name)(
        input_shape=(*cases.IMAGE, 3),
        num_classes=cases.NUM_CLASSES,
        **cases.MODELS[name],
        **cases.ALL,
    )
    weights.load_torchvision(model, cases.checkpoint(name))
    return model


@pytest.fixture(scope="module")
def faster():
    return network(FASTER)


@pytest.fixture(scope="module")
def mask():
    return network(MASK)


@pytest.fixture(scope="module")
def outputs(faster):
    return faster(cases.pictures(), training=False)


def assert_close(found, expected):
    """Within 1e-4 of the largest."""
    found, largest = np.asarray(found), np.abs(expected).max()
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0.1 * largest
    assert np.abs(found - expected).max() / largest < 1e-4


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_backbone_and_pyramid(faster):
    maps = faster.backbone(cases.pictures())
    for level, x in enumerate(maps):
        assert_close(numpy(x)[..., ::8], golden(f"body.{level}"))
    levels = ["0", "1", "2", "3", "pool"]
    for level, x in zip(levels, faster.pyramid(maps), strict=True):
        assert_close(numpy(x)[..., ::8], golden(f"pyramid.{level}"))


def test_proposal_head(outputs):
    for part in ("logits", "offsets"):
        width = 1 if part == "logits" else 4
        maps = [golden(f"rpn.{part}.{level}") for level in range(5)]
        flat = np.concatenate([x.reshape(2, -1, width) for x in maps], axis=1)
        assert_close(outputs[part], flat[..., 0] if part == "logits" else flat)


def test_proposals(outputs):
    expected = golden("proposals")
    np.testing.assert_allclose(numpy(outputs["proposals"]), expected, atol=0.01)
    assert len(np.unique(expected.round())) > 40


def test_box_head(faster, outputs):
    regions = faster.box_regions(outputs["features"], golden("proposals"))
    logits, offsets = faster.box_head(regions)
    assert_close(numpy(logits).reshape(80, -1), golden("box.logits"))
    assert_close(numpy(offsets).reshape(80, -1), golden("box.offsets"))


@pytest.mark.parametrize("name", EACH)
def test_detections(name, request):
    found = request.getfixturevalue("faster" if name == FASTER else "mask")
    found = found.predict(cases.pictures(), verbose=0)
    for number in range(2):
        expected = {key: golden(f"{name}.{key}.{number}") for key in ("boxes", "scores", "labels")}
        count = len(expected["labels"])
        assert found["num_detections"][number] == count > 5
        assert len(set(expected["labels"])) > 1
        np.testing.assert_array_equal(found["classes"][number, :count], expected["labels"] - 1)
        np.testing.assert_allclose(found["boxes"][number, :count], expected["boxes"], atol=0.01)
        np.testing.assert_allclose(found["scores"][number, :count], expected["scores"], atol=1e-4)
        assert (found["classes"][number, count:] == -1).all()
        assert not found["boxes"][number, count:].any()
        if name == MASK:
            masks = golden(f"{name}.masks.{number}")[:, 0]
            assert_close(found["masks"][number, :count], masks)
            assert not found["masks"][number, count:].any()


@pytest.mark.parametrize("name", EACH)
def test_losses(name, request):
    """Of all anchors and proposals; the mean of what torchvision gives for each picture alone."""
    model = request.getfixturevalue("faster" if name == FASTER else "mask")
    outputs = model(cases.pictures(), training=True)
    targets = cases.targets()
    keys = model.sampling_keys(targets, 0, 1, training=False)
    found = model.loss_parts_of(targets, outputs, None, keys)
    expected = golden(f"{name}.losses").mean(axis=0)
    assert len(found) == len(expected)
    for part, value in zip(PARTS, expected, strict=False):
        assert float(found[part]) == pytest.approx(value, rel=1e-3), part
        assert value > 1e-3


@pytest.mark.parametrize("name", EACH)
def test_parameters_are_the_published_ones(name, request):
    model = request.getfixturevalue("faster" if name == FASTER else "mask")
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == PUBLISHED[name]


@pytest.mark.slow
def test_head_can_be_left_out(faster):
    checkpoint = cases.checkpoint(FASTER)
    other = detection.fasterrcnn_resnet50_fpn(input_shape=(64, 64, 3), num_classes=2)
    before = [w.numpy() for layer in other.head_layers for w in layer.weights]
    weights.load_torchvision(other, checkpoint, head=False)
    after = [w.numpy() for layer in other.head_layers for w in layer.weights]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(other.box_head.fc7.kernel, faster.box_head.fc7.kernel)


@pytest.mark.slow
def test_names_of_the_published_files(mask):
    """The files of 2019 have other names for three parts."""
    checkpoint = cases.checkpoint(MASK)
    old = {}
    for name, value in checkpoint.items():
        if "fpn" in name:
            name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        name = name.replace("rpn.head.conv.0.0", "rpn.head.conv")
        for number in range(4):
            name = name.replace(f"mask_head.{number}.0", f"mask_head.mask_fcn{number + 1}")
        old[name] = value
    assert set(old) != set(checkpoint)
    expected = mask.mask_head.convs[2].kernel.numpy()
    mask.mask_head.convs[2].kernel.assign(0.0 * expected)
    weights.load_torchvision(mask, old)
    np.testing.assert_array_equal(mask.mask_head.convs[2].kernel, expected)
