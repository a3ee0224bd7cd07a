import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomCrop

SEED = tf.constant([1, 2])


@pytest.mark.parametrize("padding", [0, 3])
def test_is_a_slice_at_the_corner_drawn(rng, padding):
    pictures = rng.integers(0, 256, (40, 9, 12, 3), dtype=np.uint8)
    crop = RandomCrop((6, 7), padding=padding, fill=200)
    got = crop({"image": tf.constant(pictures)}, SEED)["image"].numpy()
    corners = crop.corners(SEED, batch_size=40, size=(9, 12)).numpy()
    sides = ((padding, padding), (padding, padding), (0, 0))
    for picture, result, (top, left) in zip(pictures, got, corners, strict=True):
        padded = np.pad(picture, sides, constant_values=200)
        np.testing.assert_array_equal(result, padded[top : top + 6, left : left + 7])
    assert len(np.unique(corners, axis=0)) > 10


def test_every_corner_is_as_likely():
    corners = RandomCrop((8, 9)).corners(SEED, batch_size=6000, size=(10, 10)).numpy()
    counts = np.histogram2d(corners[:, 0], corners[:, 1], bins=([0, 1, 2, 3], [0, 1, 2]))[0]
    assert counts.sum() == 6000
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(6000 * (1 / 6) * (5 / 6))


def test_boxes_are_cut_and_dropped():
    batch = {
        "image": tf.zeros((1, 10, 10, 1), tf.uint8),
        "boxes": tf.constant([[[0, 0, 10, 10], [0, 0, 4, 4], [9, 9, 10, 10.0]]]),
        "labels": tf.constant([[1, 2, 3]]),
    }
    crop = RandomCrop((6, 6), min_visible=0.3)
    top, left = crop.corners(SEED, batch_size=1, size=(10, 10)).numpy()[0]
    got = crop(batch, SEED)
    assert got["boxes"].numpy()[0, 0].tolist() == [0, 0, 6, 6]
    seen = max(0, 4 - top) * max(0, 4 - left) / 16
    assert got["labels"].numpy()[0].tolist() == [1, 2 if seen >= 0.3 else -1, -1]


def test_errors():
    with pytest.raises(ValueError, match=r"`size` must be \(height, width\), .* got 5"):
        RandomCrop(5)
    with pytest.raises(ValueError, match="`padding` must be at least 0, got -1"):
        RandomCrop((5, 5), padding=-1)
    with pytest.raises(ValueError, match=r"`fill` must be in \[0, 255\], got 300"):
        RandomCrop((5, 5), fill=300)
    with pytest.raises(ValueError, match=r"`min_visible` must be in \[0, 1\], got 2"):
        RandomCrop((5, 5), min_visible=2)
    with pytest.raises(ValueError, match=r"of 4 x 9 pixels and 1 of padding .* got \(7, 5\)"):
        RandomCrop((7, 5), padding=1)({"image": tf.zeros((1, 4, 9, 3), tf.uint8)}, SEED)
