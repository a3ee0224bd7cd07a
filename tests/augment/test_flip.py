import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomFlip

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
