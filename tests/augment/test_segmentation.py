"""Transforms for masks of class ids: bent, and cut where rare classes are."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import ClassBalancedCrop, ElasticDeformation

SEED = tf.constant([5, 6])


def test_bending_samples_where_the_displacements_say(rng):
    pictures = rng.integers(0, 256, (3, 12, 15, 2), dtype=np.uint8)
    masks = rng.integers(0, 5, (3, 12, 15), dtype=np.uint8)
    bend = ElasticDeformation(displacement=3.0, fill=77)
    got = bend({"image": tf.constant(pictures), "mask": tf.constant(masks)}, SEED)
    moves = bend.displacements(SEED, batch_size=3, size=(12, 15)).numpy()
    for b, y, x in np.ndindex(3, 12, 15):
        across, down = x + moves[b, y, x, 0], y + moves[b, y, x, 1]  # between pixels' centres

        def pixel(row, column, b=b):
            inside = 0 <= row < 12 and 0 <= column < 15
            return pictures[b, row, column].astype(float) if inside else np.full(2, 77.0)

        left, top = int(np.floor(across)), int(np.floor(down))
        right, bottom = across - left, down - top
        above = pixel(top, left) * (1 - right) + pixel(top, left + 1) * right
        below = pixel(top + 1, left) * (1 - right) + pixel(top + 1, left + 1) * right
        expected = above * (1 - bottom) + below * bottom
        np.testing.assert_allclose(got["image"][b, y, x], expected, atol=0.51)
        column, row = int(np.floor(across + 0.5)), int(np.floor(down + 0.5))
        inside = 0 <= row < 12 and 0 <= column < 15
        if abs(across % 1 - 0.5) > 1e-4 and abs(down % 1 - 0.5) > 1e-4:
            assert int(got["mask"][b, y, x]) == (masks[b, row, column] if inside else 255)
    assert not np.array_equal(got["mask"], masks)


def test_displacements_have_the_deviation_asked_for_at_the_grid():
    bend = ElasticDeformation(displacement=4.0, grid=3)
    moves = bend.displacements(SEED, batch_size=2000, size=(3, 3)).numpy()
    assert moves.shape == (2000, 3, 3, 2)
    assert abs(moves.std() - 4.0) < 0.1
    still = ElasticDeformation(displacement=0.0)
    pictures = tf.reshape(tf.range(48, dtype=tf.int32), (1, 4, 4, 3))
    pictures = tf.cast(pictures, tf.uint8)
    np.testing.assert_array_equal(still({"image": pictures}, SEED)["image"], pictures)


def test_smooth():
    bend = ElasticDeformation(displacement=10.0)
    moves = bend.displacements(SEED, batch_size=8, size=(256, 256)).numpy()
    coarse = bend.displacements(SEED, batch_size=8, size=(3, 3)).numpy()
    # Between two points 85.3 pixels apart a cubic is at most 1.9 times as steep as the line.
    steepest = 1.9 * (coarse.max() - coarse.min()) / (256 / 3)
    for axis in (1, 2):
        assert np.abs(np.diff(moves, axis=axis)).max() < steepest < 1.5


def masks_with_a_rare_class():
    masks = np.zeros((500, 16, 20), np.uint8)
    masks[:, 3, 17] = 4
    masks[:, 0] = 255
    return masks


def test_rare_class_is_seen_half_of_the_time():
    masks = masks_with_a_rare_class()
    batch = {"image": tf.constant(masks[..., None]), "mask": tf.constant(masks)}
    got = ClassBalancedCrop((5, 6))(batch, SEED)
    np.testing.assert_array_equal(got["image"][..., 0], got["mask"])
    share = (got["mask"].numpy() == 4).any(axis=(1, 2)).mean()
    # Where the background is drawn, a window may happen on it too: 30 of the 12 x 15 places.
    assert 0.5 - 4 * np.sqrt(0.25 / 500) < share < 0.65 + 4 * np.sqrt(0.25 / 500)
    uniform = ClassBalancedCrop((5, 6), probability=0.0)(batch, SEED)
    rare = (uniform["mask"].numpy() == 4).any(axis=(1, 2)).mean()
    assert rare < 0.25


def test_each_pixel_of_the_class_is_as_likely():
    masks = np.zeros((6000, 1, 9), np.uint8)
    masks[:, 0, [1, 4, 8]] = 1
    batch = {"image": tf.constant(masks[..., None]), "mask": tf.constant(masks)}
    index = np.tile(np.arange(9, dtype=np.uint8), (6000, 1, 1))
    batch["image"] = tf.constant(index[..., None])
    got = ClassBalancedCrop((1, 1))(batch, SEED)
    places = got["image"].numpy().ravel()[got["mask"].numpy().ravel() == 1]
    counts = np.bincount(places, minlength=9)
    assert abs(len(places) - 3000) < 4 * np.sqrt(1500)
    assert np.abs(counts[[1, 4, 8]] - len(places) / 3).max() < 4 * np.sqrt(3000 * 2 / 9)


def test_windows_stay_on_an_image_that_is_smaller_than_its_frame():
    masks = np.full((300, 16, 16), 255, np.uint8)
    masks[:, :9, :7] = 0
    batch = {"image": tf.constant(masks[..., None]), "mask": tf.constant(masks)}
    for probability in (0.0, 1.0):
        got = ClassBalancedCrop((4, 4), probability=probability)(batch, SEED)
        assert (got["mask"].numpy() == 0).all()
    whole = ClassBalancedCrop((12, 12), probability=0.0)(batch, SEED)["mask"].numpy()
    assert (whole[:, :9, :7] == 0).all()


def test_all_ignored_is_cut_at_the_start():
    masks = tf.fill((5, 6, 6), tf.constant(255, tf.uint8))
    index = tf.tile(tf.reshape(tf.range(36, dtype=tf.int32), (1, 6, 6, 1)), (5, 1, 1, 1))
    got = ClassBalancedCrop((2, 2))({"image": tf.cast(index, tf.uint8), "mask": masks}, SEED)
    assert got["image"].numpy()[0, :, :, 0].tolist() == [[0, 1], [6, 7]]


def test_errors():
    with pytest.raises(ValueError, match="`displacement` must be at least 0, got -1"):
        ElasticDeformation(displacement=-1)
    with pytest.raises(ValueError, match="`grid` must be at least 2, got 1"):
        ElasticDeformation(grid=1)
    with pytest.raises(ValueError, match=r"`fill` must be in \[0, 255\], got 300"):
        ElasticDeformation(fill=300)
    picture = tf.zeros((1, 4, 4, 3), tf.uint8)
    with pytest.raises(ValueError, match="`batch` must have no boxes"):
        ElasticDeformation()({"image": picture, "boxes": tf.zeros((1, 1, 4))}, SEED)
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\], got 2"):
        ClassBalancedCrop((2, 2), probability=2)
    with pytest.raises(ValueError, match="`batch` must have `mask`"):
        ClassBalancedCrop((2, 2))({"image": picture}, SEED)
    mask = tf.zeros((1, 4, 4), tf.uint8)
    with pytest.raises(ValueError, match=r"of 4 x 4 pixels .* got \(5, 2\)"):
        ClassBalancedCrop((5, 2))({"image": picture, "mask": mask}, SEED)
