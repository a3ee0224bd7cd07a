"""Colours and tones against torchvision's functions, and the random jitter."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import ColorJitter
from kerakit.augment.color import brightness, contrast, hue, saturation
from kerakit.augment.color_jitter import OPERATIONS
from kerakit.augment.tones import autocontrast, equalize, posterize, sharpness, solarize
from tests.golden.augment import COLOR_CASES, images

OURS = {
    "adjust_brightness": brightness,
    "adjust_contrast": contrast,
    "adjust_saturation": saturation,
    "adjust_hue": hue,
    "adjust_sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def golden():
    path = Path(__file__).parents[1] / "golden" / "augment.npz"
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("case", COLOR_CASES)
@pytest.mark.parametrize("name", images())
def test_is_torchvisions(golden, case, name):
    function, options = COLOR_CASES[case]
    image = tf.constant(images()[name], tf.float32)
    got = OURS[function](image, *(float(amount) for amount in options.values())).numpy()
    off = got - golden[f"{case}/{name}"]
    if function == "autocontrast":
        # torchvision divides by a rounded number, and falls one short of whole results, as 255.
        least, largest = image.numpy().min((0, 1)), image.numpy().max((0, 1))
        exact = (image.numpy() - least).astype(int) * 255 // (largest - least).astype(int)
        np.testing.assert_array_equal(got, exact)
        assert set(np.unique(off)) <= {0, 1}
    else:
        # Where rounding down falls on a whole number, the last digit of float32 decides.
        assert np.abs(off).max() <= 1
        assert (off != 0).sum() <= 2


def test_grey_images(rng):
    image = tf.constant(rng.integers(0, 256, (7, 9, 1)), tf.float32)
    np.testing.assert_array_equal(saturation(image, 0.3), image)
    np.testing.assert_array_equal(hue(image, 0.3), image)
    mean = image.numpy().mean()
    np.testing.assert_array_equal(contrast(image, 0.5), np.floor(image * 0.5 + 0.5 * mean))


def test_flat_channels_stay():
    flat = tf.fill((5, 6, 3), 77.0)
    for change in (autocontrast, equalize, lambda x: sharpness(x, 0.5), lambda x: hue(x, 0.2)):
        np.testing.assert_array_equal(change(flat), flat)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2)])
def test_sharpness_leaves_the_border(rng, size):
    image = tf.constant(rng.integers(0, 256, (*size, 3)), tf.float32)
    np.testing.assert_array_equal(sharpness(image, 1.9), image)


def test_jitter_is_its_operations_one_by_one(rng):
    """By the draws that it names: each image in its own order."""
    pictures = rng.integers(0, 256, (24, 6, 7, 3), dtype=np.uint8)
    jitter = ColorJitter(brightness=0.6, contrast=0.6, saturation=0.6, hue=0.3)
    got = jitter({"image": tf.constant(pictures)}, SEED)["image"].numpy()
    chosen, amounts = (x.numpy() for x in jitter.draws(SEED, batch_size=24))
    for picture, result, order, own in zip(pictures, got, chosen, amounts, strict=True):
        image = tf.constant(picture, tf.float32)
        for number, amount in zip(order, own, strict=True):
            image = OPERATIONS[number](image, amount)
        # Compiled, a last digit may differ, and the step after a rounding carries it on.
        assert (np.abs(result - image.numpy()) > 0).mean() < 0.01
    assert len({tuple(order) for order in chosen}) > 12  # of 24 orders


def test_jitter_draws_fill_their_range():
    jitter = ColorJitter(brightness=0.4, hue=0.1)
    chosen, amounts = (x.numpy() for x in jitter.draws(SEED, batch_size=4000))
    for number, low, high in ((0, 0.6, 1.4), (3, -0.1, 0.1)):
        drawn = amounts[chosen == number]
        assert len(drawn) == 4000
        assert low <= drawn.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < drawn.max() <= high
        assert abs(drawn.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * 4000)
    first = (chosen[:, 0] == 0).mean()
    assert abs(first - 0.5) < 4 * 0.5 / np.sqrt(4000)


def test_no_strength_is_the_identity(rng):
    batch = {"image": tf.constant(rng.integers(0, 256, (3, 5, 5, 3), dtype=np.uint8))}
    np.testing.assert_array_equal(ColorJitter()(batch, SEED)["image"], batch["image"])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_strengths_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be in \[0, 1\], got 1.1"):
        ColorJitter(**{name: 1.1})


def test_hue_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"`hue` must be in \[0, 0.5\], got 0.6"):
        ColorJitter(hue=0.6)
