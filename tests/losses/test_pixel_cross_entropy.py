"""PixelCrossEntropy against a loop over pixels, and where Keras's own differ."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.losses import PixelCrossEntropy
from kerakit.losses.pixel_cross_entropy import pixel_cross_entropy
from tests.conformance.case import compiled


def by_loop(mask, logits, weights, gamma, ignore):
    values = []
    for ids, scores in zip(mask, logits.astype("float64"), strict=True):
        total = weight = 0.0
        for place in np.ndindex(ids.shape):
            if ids[place] == ignore:
                continue
            p = np.exp(scores[place][ids[place]]) / np.exp(scores[place]).sum()
            total += weights[ids[place]] * -((1 - p) ** gamma) * np.log(p)
            weight += weights[ids[place]]
        values.append(total / weight if weight else 0.0)
    return np.array(values)


@pytest.fixture
def scene(rng):
    mask = rng.choice([0, 1, 2, 3, 255], (3, 5, 4)).astype("uint8")
    mask[1] = 255
    return mask, rng.normal(size=(3, 5, 4, 4)) * 3


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [0.0, 1.0, 2.5, 0.3]])
def test_equals_the_loop(scene, gamma, weights):
    mask, logits = scene
    expected = by_loop(mask, logits, weights or np.ones(4), gamma, 255)
    assert expected[1] == 0
    assert (expected[[0, 2]] > 0).all()
    options = {"focal_gamma": gamma, "reduction": None}
    with gradients.float64_scope():
        loss = PixelCrossEntropy(weights, dtype="float64", **options)
        np.testing.assert_allclose(loss(mask, logits), expected, rtol=1e-12)
    single = compiled(lambda x: PixelCrossEntropy(weights, **options)(mask, x))
    np.testing.assert_allclose(single(logits.astype("float32")), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("ignore", [255, 0, None])
def test_any_ids_and_any_ignored_class(scene, dtype, ignore):
    mask, logits = scene
    mask = np.where(mask == 255, ignore or 0, mask).astype(dtype)
    expected = by_loop(mask, logits, np.ones(4), 0.0, ignore)
    loss = PixelCrossEntropy(ignore_class=ignore, reduction=None)
    for given in (mask, mask[..., None]):
        np.testing.assert_allclose(loss(given, logits), expected, rtol=1e-5, atol=1e-7)
    by_function = pixel_cross_entropy(mask, logits.astype("float32"), ignore_class=ignore)
    np.testing.assert_allclose(by_function, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradient_is_finite_and_stays_off_ignored_pixels(scene, gamma):
    mask, logits = scene
    logits[0, 0, 0] = 100.0 * np.eye(4)[mask[0, 0, 0] % 4]  # as sure as float32 can be
    loss = PixelCrossEntropy(focal_gamma=gamma)
    (slope,) = gradients.gradient(lambda x: loss(mask, x), logits.astype("float32"))
    slope = ops.convert_to_numpy(slope)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[mask == 255], 0.0)
    assert np.abs(slope[mask != 255]).max() > 1e-3


def test_a_batch_of_nothing_but_ignore():
    mask, logits = np.full((2, 3, 3), 255), np.ones((2, 3, 3, 2), "float32")
    assert float(PixelCrossEntropy()(mask, logits)) == 0.0
    (slope,) = gradients.gradient(lambda x: PixelCrossEntropy()(mask, x), logits)
    np.testing.assert_array_equal(slope, 0.0)


def test_parts_of_a_batch_have_the_mean_of_the_whole_where_keras_has_not():
    """Two images, of 1 and 3 valid pixels with losses of 2 and 1: the docstring's figures."""
    mask = np.array([[[0, 255, 255]], [[0, 0, 0]]])
    score = [-np.log(np.exp(loss) - 1) for loss in (2.0, 1.0)]
    logits = np.zeros((2, 1, 3, 2), "float32")
    logits[..., 0] = np.reshape(score, (2, 1, 1))
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    for loss, whole in ((PixelCrossEntropy(), 1.5), (theirs, 1.25)):
        assert float(loss(mask, logits)) == pytest.approx(whole, rel=1e-5)
        parts = [float(loss(mask[i : i + 1], logits[i : i + 1])) for i in range(2)]
        assert np.mean(parts) == pytest.approx(1.5, rel=1e-5)


def test_a_pixel_far_off_keeps_its_slope_where_keras_cuts_it():
    logits = np.array([[[[20.0, 0.0]]]], "float32")
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)
    one_hot = np.array([[[[0.0, 1.0]]]], "float32")
    (theirs,) = gradients.gradient(lambda x: focal(one_hot, x), logits)
    (ours,) = gradients.gradient(
        lambda x: PixelCrossEntropy(focal_gamma=2.0)(np.array([[[1]]]), x), logits
    )
    np.testing.assert_array_equal(theirs, 0.0)
    np.testing.assert_allclose(np.ravel(ours), [1.0, -1.0], rtol=1e-5)


@pytest.mark.parametrize("label", [-1, 4, 254])
def test_an_id_that_is_no_class_is_seen(scene, label):
    mask, logits = scene
    mask = mask.astype("int32")
    mask[0, 2, 2] = label
    losses = ops.convert_to_numpy(PixelCrossEntropy([0, 1, 1, 1], reduction=None)(mask, logits))
    np.testing.assert_array_equal(np.isnan(losses), [True, False, False])


def test_float16_logits_are_summed_in_float32(rng):
    """4,096 pixels of loss 20 are beyond float16."""
    logits = np.zeros((1, 64, 64, 2), "float16")
    logits[..., 0] = 20.0
    loss = pixel_cross_entropy(np.ones((1, 64, 64), "uint8"), logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss[0]) == pytest.approx(20.0, rel=1e-5)


def test_config_round_trip():
    loss = PixelCrossEntropy((1, 2), ignore_class=None, focal_gamma=2.0, reduction="sum")
    config = loss.get_config()
    assert config == {
        "class_weights": [1.0, 2.0],
        "ignore_class": None,
        "focal_gamma": 2.0,
        "reduction": "sum",
        "name": "pixel_cross_entropy",
        "dtype": "float32",
    }
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is PixelCrossEntropy
    assert copy.get_config() == config


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [1, float("nan")], []])
def test_class_weights_are_checked(weights):
    with pytest.raises(ValueError, match="`class_weights` must be finite numbers of at least 0"):
        PixelCrossEntropy(weights)


@pytest.mark.parametrize("gamma", [-1, float("inf"), float("nan")])
def test_gamma_is_checked(gamma):
    with pytest.raises(ValueError, match=f"`focal_gamma` must be at least 0 .* got {gamma}"):
        PixelCrossEntropy(focal_gamma=gamma)


def test_as_many_weights_as_classes():
    with pytest.raises(ValueError, match="`class_weights` must be a number a class, 3, got 2"):
        PixelCrossEntropy([1, 2])(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize("shape", [(2,), (2, 4), (2, 4, 6), (2, 4, 5, 3), (1, 4, 5)])
def test_shapes_are_checked(shape):
    with pytest.raises(ValueError, match=r"`y_true` must be class ids .* shape \(2, 4, 5, 3\)"):
        PixelCrossEntropy()(np.zeros(shape), np.zeros((2, 4, 5, 3)))


def test_one_class_is_refused():
    with pytest.raises(ValueError, match=r"`y_pred` must be logits .* at least 2 classes"):
        PixelCrossEntropy()(np.zeros((2, 4, 5)), np.zeros((2, 4, 5, 1)))


def test_weights_of_pixels_are_refused():
    mask, logits = np.zeros((2, 2, 2)), np.zeros((2, 2, 2, 3))
    with pytest.raises(ValueError, match=r"`sample_weight` must be a number an image"):
        PixelCrossEntropy()(mask, logits, sample_weight=np.ones((2, 2, 2)))
    whole = float(PixelCrossEntropy()(mask, logits, sample_weight=np.ones((2, 1))))
    assert whole == pytest.approx(np.log(3))
