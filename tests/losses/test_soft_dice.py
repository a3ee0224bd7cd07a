"""SoftDice against a loop, and where Keras's Dice differs."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.losses import SoftDice
from tests.conformance.case import compiled


def by_loop(mask, logits, classes, smooth):
    values = []
    for ids, scores in zip(mask, logits.astype("float64"), strict=True):
        valid = ids != 255
        share = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        found = []
        for k in classes:
            if not (ids == k).any():
                continue
            overlap = share[..., k][ids == k].sum()
            whole = share[..., k][valid].sum() + (ids == k).sum()
            found.append((2 * overlap + smooth) / (whole + smooth))
        values.append(1 - np.mean(found) if found else 0.0)
    return np.array(values)


@pytest.fixture
def scene(rng):
    mask = rng.choice([0, 1, 3, 255], (3, 5, 4)).astype("uint8")  # class 2 is nowhere
    mask[1] = 255
    return mask, rng.normal(size=(3, 5, 4, 4)) * 3


@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize("classes", [None, [1, 2], [2]])
def test_equals_the_loop(scene, smooth, classes):
    mask, logits = scene
    expected = by_loop(mask, logits, classes or range(4), smooth)
    options = {"classes": classes, "smooth": smooth, "reduction": None}
    with gradients.float64_scope():
        loss = SoftDice(dtype="float64", **options)
        np.testing.assert_allclose(loss(mask, logits), expected, rtol=1e-12)
    single = compiled(lambda x: SoftDice(**options)(mask, x))
    np.testing.assert_allclose(single(logits.astype("float32")), expected, rtol=1e-5)


def test_gradient_is_finite_and_stays_off_ignored_pixels(scene):
    mask, logits = scene
    (slope,) = gradients.gradient(lambda x: SoftDice()(mask, x), logits.astype("float32"))
    slope = ops.convert_to_numpy(slope)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[mask == 255], 0.0)
    assert np.abs(slope[mask != 255]).max() > 1e-3


def test_keras_dice_is_another_loss():
    """96 pixels of background that are right, 4 of a nucleus that are missed."""
    mask = np.zeros((1, 10, 10), "int32")
    mask[0, :4, 0] = 1
    logits = np.tile(np.array([50.0, 0.0], "float32"), (1, 10, 10, 1))
    one_hot, share = np.eye(2, dtype="float32")[mask], np.tile([1.0, 0.0], (1, 10, 10, 1))
    assert float(keras.losses.Dice()(one_hot, share)) == pytest.approx(0.04, abs=1e-5)
    assert float(SoftDice()(mask, logits)) == pytest.approx(0.51, abs=5e-3)
    nothing = keras.losses.Dice(axis=(1, 2), reduction=None)(one_hot * 0, share)
    np.testing.assert_allclose(np.ravel(nothing), 1.0)


@pytest.mark.parametrize("label", [-1, 4])
def test_an_id_that_is_no_class_is_seen(scene, label):
    mask, logits = scene
    mask = mask.astype("int32")
    mask[2, 1, 1] = label
    losses = ops.convert_to_numpy(SoftDice(reduction=None)(mask, logits))
    np.testing.assert_array_equal(np.isnan(losses), [False, False, True])


def test_config_round_trip():
    loss = SoftDice(classes=(1,), ignore_class=None, smooth=1.0, reduction="sum", name="d")
    config = loss.get_config()
    assert config == {
        "classes": [1],
        "ignore_class": None,
        "smooth": 1.0,
        "reduction": "sum",
        "name": "d",
        "dtype": "float32",
    }
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is SoftDice
    assert copy.get_config() == config


@pytest.mark.parametrize("classes", [[], [1, 1], [-1, 0]])
def test_classes_are_checked(classes):
    with pytest.raises(ValueError, match="`classes` must be different ids from 0 up"):
        SoftDice(classes=classes)


def test_classes_are_of_the_logits():
    with pytest.raises(ValueError, match="`classes` must be below 3, the number of logits"):
        SoftDice(classes=[0, 3])(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize("smooth", [-1, float("inf")])
def test_smooth_is_checked(smooth):
    with pytest.raises(ValueError, match=f"`smooth` must be at least 0 and finite, got {smooth}"):
        SoftDice(smooth=smooth)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="`y_true` must be class ids"):
        SoftDice()(np.zeros((1, 2, 3)), np.zeros((1, 2, 2, 3)))
    with pytest.raises(ValueError, match="`sample_weight` must be a number an image"):
        SoftDice()(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)), sample_weight=np.ones((1, 2, 2)))
