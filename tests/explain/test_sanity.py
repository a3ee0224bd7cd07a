"""A trained network's maps: they point at what it reads, and change with its weights."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

from kerakit import explain

SIDE = 24
METHODS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "cam", "saliency", "smooth_grad")


def scenes(count, seed):
    """Digits of 8 x 8 somewhere on noise: pixels, labels and each digit's (row, column)."""
    draw = np.random.default_rng(seed)
    digits = load_digits()
    chosen = draw.integers(0, len(digits.target), count)
    places = draw.integers(0, SIDE - 8, (count, 2))
    images = draw.uniform(0, 40, (count, SIDE, SIDE, 1))
    for image, digit, (row, column) in zip(images, chosen, places, strict=True):
        image[row : row + 8, column : column + 8, 0] += digits.images[digit] * 13
    return np.minimum(images, 255).astype("float32"), digits.target[chosen] % 3, places


def network():
    images = keras.Input((SIDE, SIDE, 1))
    x = layers.Rescaling(1 / 255)(images)
    for filters in (16, 32, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="maps")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(3, name="scores")(x))


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(
        keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    images, labels, _ = scenes(3000, 0)
    model.fit(images, labels, batch_size=64, epochs=6, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_points_at_the_digit(method, trained):
    images, labels, places = scenes(60, 1)
    right = trained.predict(images, verbose=0).argmax(axis=1) == labels
    assert right.mean() > 0.7
    values = getattr(explain, method)(trained, images).values
    row, column = np.unravel_index(values.reshape(60, -1).argmax(axis=1), (SIDE, SIDE))
    inside = (np.abs(np.stack([row, column], 1) - (places + 3.5)) <= 4.5).all(axis=1)
    assert inside[right].mean() >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["the last layer", "all layers"])
def test_changes_with_the_weights(method, which, trained):
    """Adebayo et al., Sanity Checks for Saliency Maps, 2018: of random weights another map."""
    images, labels, places = scenes(20, 2)
    keras.utils.set_random_seed(1)  # another start than that of the training
    random = network()
    if which == "the last layer":
        for old, new in zip(trained.layers[:-1], random.layers[:-1], strict=True):
            new.set_weights(old.get_weights())
    maps = [getattr(explain, method)(m, images, target=labels).values for m in (trained, random)]
    # On the digit: that it stands out from the ground any convolution sees.
    boxes = [np.s_[i, row : row + 8, column : column + 8] for i, (row, column) in enumerate(places)]
    ranks = [spearmanr(*(one[box].ravel() for one in maps)).statistic for box in boxes]
    same = getattr(explain, method)(trained, images, target=labels).values
    np.testing.assert_allclose(same, maps[0], rtol=1e-4, atol=1e-8)
    # Magnitudes and positive parts alone say less of which class: they change less with its
    # weights, as that paper has it too.
    unsigned = method in ("grad_cam_plus_plus", "saliency", "smooth_grad")
    assert np.nanmean(ranks) < (0.95 if unsigned and which == "the last layer" else 0.6)
