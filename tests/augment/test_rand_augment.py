import math

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandAugment, affine_matrices, transform_images
from kerakit.augment.color import brightness, contrast, saturation
from kerakit.augment.rand_augment import OPERATIONS
from kerakit.augment.tones import autocontrast, equalize, posterize, sharpness, solarize

SEED = tf.constant([1, 2])
HEIGHT, WIDTH = 12, 17


def moved(image, matrix):
    matrix = tf.constant(matrix, tf.float32)[None]
    return transform_images(image[None], matrix, fill=0, interpolation="nearest")[0]


def turned(image, angle):
    matrix = affine_matrices(
        angle=tf.constant([angle]),
        shift=tf.zeros((1, 2)),
        scale=tf.ones((1, 2)),
        shear=tf.zeros(1),
        size=(HEIGHT, WIDTH),
    )
    return moved(image, matrix[0])


def by_hand(name, image, sign, level):
    """The table of the paper's operations, one image and one operation at a time."""
    factor = 1 + sign * 0.9 * level
    return {
        "identity": lambda: image,
        "shear_x": lambda: moved(image, [[1, sign * 0.3 * level, 0], [0, 1, 0], [0, 0, 1]]),
        "shear_y": lambda: moved(image, [[1, 0, 0], [sign * 0.3 * level, 1, 0], [0, 0, 1]]),
        "translate_x": lambda: moved(
            image, [[1, 0, int(sign * level * WIDTH * 150 / 331)], [0, 1, 0], [0, 0, 1]]
        ),
        "translate_y": lambda: moved(
            image, [[1, 0, 0], [0, 1, int(sign * level * HEIGHT * 150 / 331)], [0, 0, 1]]
        ),
        "rotate": lambda: turned(image, sign * math.radians(30 * level)),
        "brightness": lambda: brightness(image, factor),
        "color": lambda: saturation(image, factor),
        "contrast": lambda: contrast(image, factor),
        "sharpness": lambda: sharpness(image, factor),
        "posterize": lambda: posterize(image, 8.0 - round(4 * level)),
        "solarize": lambda: solarize(image, 256 * (1 - level)),
        "autocontrast": lambda: autocontrast(image),
        "equalize": lambda: equalize(image),
    }[name]()


@pytest.mark.parametrize("magnitude", [9, 30])
def test_is_the_operations_drawn_one_by_one(rng, magnitude):
    pictures = rng.integers(20, 240, (60, HEIGHT, WIDTH, 3), dtype=np.uint8)
    augment = RandAugment(magnitude=magnitude)
    got = augment({"image": tf.constant(pictures)}, SEED)["image"].numpy()
    chosen, signs = (x.numpy() for x in augment.draws(SEED, batch_size=60))
    assert set(chosen.ravel()) == set(range(len(OPERATIONS)))
    for picture, result, numbers, own in zip(pictures, got, chosen, signs, strict=True):
        image = tf.constant(picture, tf.float32)
        for number, sign in zip(numbers, own, strict=True):
            image = by_hand(OPERATIONS[number], image, float(sign), magnitude / 30)
        # Compiled, a last digit may differ where a place or a value falls on a border.
        assert (result != image.numpy()).mean() < 0.02, [OPERATIONS[n] for n in numbers]


def test_operations_and_signs_are_as_likely():
    chosen, signs = RandAugment().draws(SEED, batch_size=7000)
    counts = np.bincount(chosen.numpy().ravel(), minlength=14)
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(14000 * (1 / 14) * (13 / 14))
    assert abs(signs.numpy().mean()) < 4 / np.sqrt(14000)


def test_magnitude_0_changes_by_autocontrast_and_equalize_alone(rng):
    """White too: torchvision's solarize turns it black there."""
    pictures = np.full((60, HEIGHT, WIDTH, 3), 255, np.uint8)
    pictures[:, 0] = rng.integers(0, 256, (60, WIDTH, 3))
    augment = RandAugment(magnitude=0)
    got = augment({"image": tf.constant(pictures)}, SEED)["image"].numpy()
    chosen = augment.draws(SEED, batch_size=60)[0].numpy()
    same = (chosen < OPERATIONS.index("autocontrast")).all(axis=1)
    assert same.sum() > 20
    np.testing.assert_array_equal(got[same], pictures[same])


def test_grey_pictures(rng):
    pictures = rng.integers(0, 256, (20, HEIGHT, WIDTH, 1), dtype=np.uint8)
    got = RandAugment()({"image": tf.constant(pictures)}, SEED)["image"]
    assert got.shape == pictures.shape
    assert got.dtype == tf.uint8


def test_errors():
    with pytest.raises(ValueError, match="`num_operations` must be at least 1, got 0"):
        RandAugment(num_operations=0)
    with pytest.raises(ValueError, match=r"`magnitude` must be in \[0, 30\], got 31"):
        RandAugment(magnitude=31)
    with pytest.raises(ValueError, match=r"`fill` must be in \[0, 255\], got 256"):
        RandAugment(fill=256)
    with pytest.raises(ValueError, match=r"`min_visible` must be in \[0, 1\], got 7"):
        RandAugment(min_visible=7)
