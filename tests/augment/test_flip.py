import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomFlip, RandomReversal

SEED = tf.constant([1, 2])


def test_each_example_is_flipped_or_not(rng):
    pictures = rng.integers(0, 256, (64, 5, 7, 3), dtype=np.uint8)
    got = RandomFlip(vertical=True)({"image": tf.constant(pictures)}, SEED)["image"].numpy()
    ways = [pictures, pictures[:, :, ::-1], pictures[:, ::-1], pictures[:, ::-1, ::-1]]
    is_way = np.stack([(got == way).all(axis=(1, 2, 3)) for way in ways])
    assert (is_way.sum(axis=0) == 1).all()
    assert (is_way.sum(axis=1) > 5).all()  # 16 each expected


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_probability(direction):
    marked = np.zeros((4000, 2, 2, 1), np.uint8)
    marked[:, 0, 0] = 1
    flip = RandomFlip(**{"horizontal": False, direction: True}, probability=0.3)
    got = flip({"image": tf.constant(marked)}, SEED)["image"].numpy()
    flipped = (got[:, 0, 1] if direction == "horizontal" else got[:, 1, 0]).mean()
    assert abs(flipped - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 4000)
    assert got.sum() == 4000


def test_boxes_by_hand():
    batch = {
        "image": tf.zeros((1, 10, 20, 1), tf.uint8),
        "boxes": tf.constant([[[1.0, 2.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0]]]),
        "labels": tf.constant([[3, -1]]),
    }
    got = RandomFlip(vertical=True, probability=1.0)(batch, SEED)
    assert got["boxes"].numpy().tolist() == [[[15, 1, 19, 8], [0, 0, 0, 0]]]
    assert got["labels"].numpy().tolist() == [[3, -1]]


def test_errors():
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\], got 1.5"):
        RandomFlip(probability=1.5)
    with pytest.raises(ValueError, match="`horizontal` or `vertical` must be true, got neither"):
        RandomFlip(horizontal=False)
    with pytest.raises(ValueError, match="must have either `image` or `video`, got \\['label'\\]"):
        RandomFlip()({"label": tf.zeros(3)}, SEED)


@pytest.mark.parametrize("shares", [False, True])
def test_labels_change_with_what_they_tell(rng, shares):
    """A dot at the left is class 0, at the right 1, above 2, below 3: so it stays."""
    count = 200
    label = rng.integers(0, 4, count)
    pictures = np.zeros((count, 3, 3, 1), np.uint8)
    y, x = np.array([(1, 0), (1, 2), (0, 1), (2, 1)])[label].T
    pictures[np.arange(count), y, x] = 1
    flip = RandomFlip(vertical=True, horizontal_swaps=[(0, 1)], vertical_swaps=[(2, 3)])
    given = np.eye(4, dtype=np.float32)[label] if shares else label
    got = flip({"image": tf.constant(pictures), "label": tf.constant(given)}, SEED)
    found = got["label"].numpy().argmax(axis=-1) if shares else got["label"].numpy()
    dots = got["image"].numpy()[..., 0]
    places = [dots[:, 1, 0], dots[:, 1, 2], dots[:, 0, 1], dots[:, 2, 1]]
    np.testing.assert_array_equal(np.stack(places).argmax(axis=0), found)
    assert 50 < (found != label).sum() < 150


def test_reversal_plays_some_clips_backwards_and_swaps_their_labels(rng):
    clips = rng.integers(0, 256, (64, 5, 4, 3, 1), dtype=np.uint8)
    batch = {"video": tf.constant(clips), "label": tf.constant([0, 1, 2, 3] * 16)}
    got = RandomReversal(swaps=[(1, 3)])(batch, SEED)
    backwards = (got["video"].numpy() == clips[:, ::-1]).all(axis=(1, 2, 3, 4))
    assert ((got["video"].numpy() == clips).all(axis=(1, 2, 3, 4)) ^ backwards).all()
    assert 16 < backwards.sum() < 48
    expected = np.where(backwards, [0, 3, 2, 1] * 16, [0, 1, 2, 3] * 16)
    np.testing.assert_array_equal(got["label"].numpy(), expected)


@pytest.mark.parametrize("pairs", [[(0, 0)], [(0, 1), (1, 2)], [(0, 1, 2)], [(-1, 0)], [("a", 1)]])
def test_pairs_that_are_none(pairs):
    with pytest.raises(ValueError, match="`swaps` must be pairs of class numbers, each class once"):
        RandomReversal(swaps=pairs)


def test_swaps_need_labels():
    with pytest.raises(ValueError, match="must have `label` where classes are to be swapped"):
        RandomFlip(horizontal_swaps=[(0, 1)])({"image": tf.zeros((1, 2, 2, 1), tf.uint8)}, SEED)
