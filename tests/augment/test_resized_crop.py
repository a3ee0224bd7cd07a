from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomResizedCrop, resize_crops
from tests.golden.augment import CROP_CASES, images

SEED = tf.constant([1, 2])


@pytest.mark.parametrize("case", CROP_CASES)
def test_is_torchvisions_antialiased_resize(case):
    (top, left, height, width), size = CROP_CASES[case]
    crop = tf.constant([[left, top, left + width, top + height]], tf.float32)
    with np.load(Path(__file__).parents[1] / "golden" / "augment.npz") as golden:
        for name, image in images().items():
            floats = resize_crops(tf.constant(image[None], tf.float32), crop, size=size)
            want = golden[f"{case}/{name}"]
            np.testing.assert_allclose(floats[0], want, atol=1e-3)  # float32, sums up to 255
            bytes_ = resize_crops(tf.constant(image[None]), crop, size=size)
            assert bytes_.dtype == tf.uint8
            assert np.abs(bytes_[0].numpy() - want).max() <= 0.501


def test_the_whole_picture_at_its_size_is_itself(rng):
    pictures = tf.constant(rng.integers(0, 256, (3, 7, 9, 2), dtype=np.uint8))
    whole = tf.constant([[0.0, 0.0, 9.0, 7.0]] * 3)
    np.testing.assert_array_equal(resize_crops(pictures, whole, size=(7, 9)), pictures)


def test_windows_follow_the_definition():
    crop = RandomResizedCrop((8, 8), scale=(0.1, 0.5), ratio=(0.5, 2.0))
    left, top, right, bottom = crop.crops(SEED, batch_size=4000, size=(300, 400)).numpy().T
    width, height = right - left, bottom - top
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= 400
    assert bottom.max() <= 300
    share, ratio = width * height / 120000, np.log2(width / height)
    # Nearly every first draw fits here, so that both stay uniform.
    for values, low, high in ((share, 0.1, 0.5), (ratio, -1, 1)):
        assert low - 0.02 < values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() < high + 0.02
    assert abs(share.mean() - 0.3) < 4 * 0.4 / np.sqrt(12 * 4000)
    for place, room in ((left, 400 - width), (top, 300 - height)):
        assert abs((place + 0.5) / (room + 1) - 0.5).max() < 0.5
        assert abs(((place + 0.5) / (room + 1)).mean() - 0.5) < 4 / np.sqrt(12 * 4000)


def test_first_draws_that_do_not_fit_are_passed_over():
    """Half of the shapes do not fit: the area is uniform among those that do."""
    crop = RandomResizedCrop((8, 8), scale=(0.9, 1.0), ratio=(0.5, 2.0))
    windows = crop.crops(SEED, batch_size=500, size=(100, 100)).numpy()
    width, height = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    assert (width * height >= 0.89 * 10000).all()
    assert max(width.max(), height.max()) <= 100


@pytest.mark.parametrize(
    ("size", "window"), [((10, 100), (47, 0, 60 - 7, 10)), ((100, 10), (0, 45, 10, 55))]
)
def test_the_fallback_is_the_middle(size, window):
    """No draw fits; of torchvision's: the nearest allowed shape, as large as it can be."""
    ratio = (0.6, 0.6) if size == (10, 100) else (1.0, 1.0)
    crop = RandomResizedCrop((8, 8), scale=(1.0, 1.0), ratio=ratio)
    got = crop.crops(SEED, batch_size=2, size=size).numpy()
    assert got.tolist() == [list(window)] * 2


def test_one_pixel():
    one = {"image": tf.fill((2, 1, 1, 3), tf.constant(9, tf.uint8))}
    got = RandomResizedCrop((4, 5))(one, SEED)["image"]
    np.testing.assert_array_equal(got, np.full((2, 4, 5, 3), 9))


def test_errors():
    with pytest.raises(ValueError, match=r"`scale` must be \(least, largest\) in \(0, 1\], got"):
        RandomResizedCrop((4, 4), scale=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"`ratio` must be .* in \(0, infinity\), got \(2, 1\)"):
        RandomResizedCrop((4, 4), ratio=(2, 1))
    with pytest.raises(ValueError, match=r"both at least 1, got \(0, 4\)"):
        RandomResizedCrop((0, 4))
    unknown = tf.function(lambda x: resize_crops(x, tf.zeros((1, 4)), size=(2, 2)))
    with pytest.raises(ValueError, match="must have a known height and width, got"):
        unknown.get_concrete_function(tf.TensorSpec((1, None, 4, 3)))
