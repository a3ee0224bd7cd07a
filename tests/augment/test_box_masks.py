"""Masks cropped to boxes move as the masks of the whole picture do."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import (
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    ScaleJitter,
    chain,
)

COUNT, HEIGHT, WIDTH, SIDE = 60, 60, 72, 112
LOSSLESS = {
    "flip": RandomFlip(vertical=True),
    "flip twice": chain(RandomFlip(probability=1.0), RandomFlip(probability=1.0)),
}
CUTTING = {
    "crop": RandomCrop((40, 50), padding=6),
    "resized crop": RandomResizedCrop((48, 56), scale=(0.3, 1.0)),
    "scale": ScaleJitter(scale=(0.6, 1.6)),
    "shift": RandomAffine(translation=0.3, zoom=0.2),
    "turn": RandomAffine(rotation=180, translation=0.1),
}


def crops(masks, boxes):
    """Masks (n, h, w) seen at the middles of their boxes' cells."""
    middle = (np.arange(SIDE) + 0.5) / SIDE
    columns = np.floor(boxes[:, :1] + middle * (boxes[:, 2:3] - boxes[:, :1])).astype(int)
    rows = np.floor(boxes[:, 1:2] + middle * (boxes[:, 3:] - boxes[:, 1:2])).astype(int)
    rows, columns = rows.clip(0, masks.shape[1] - 1), columns.clip(0, masks.shape[2] - 1)
    return masks[np.arange(len(masks))[:, None, None], rows[:, :, None], columns[:, None]]


def drawn():
    """A triangle in each picture, which no flip or turn leaves as it is, and a row of padding."""
    rng = np.random.default_rng(4)
    masks = np.zeros((COUNT, 2, HEIGHT, WIDTH), np.uint8)
    boxes = np.zeros((COUNT, 2, 4), np.float32)
    for example in range(COUNT):
        width, height = rng.integers(20, 40, 2)
        x, y = rng.integers(0, (WIDTH - width, HEIGHT - height))
        rows, columns = np.mgrid[:height, :width]
        masks[example, 0, y : y + height, x : x + width] = rows * width >= columns * height
        boxes[example, 0] = [x, y, x + width, y + height]
    cut = np.zeros((COUNT, 2, SIDE, SIDE), np.uint8)
    cut[:, 0] = crops(masks[:, 0], boxes[:, 0])
    return {
        "image": tf.zeros((COUNT, HEIGHT, WIDTH, 1), tf.uint8),
        "boxes": tf.constant(boxes),
        "labels": tf.constant([[3, -1]] * COUNT),
        "masks": tf.constant(masks),
        "box_masks": tf.constant(cut),
    }


@pytest.mark.parametrize("name", [*LOSSLESS, *CUTTING])
def test_crops_follow_the_whole_masks(name):
    moved = {**LOSSLESS, **CUTTING}[name](drawn(), tf.constant([1, 2]))
    moved = {key: value.numpy() for key, value in moved.items()}
    assert moved["box_masks"].shape == (COUNT, 2, SIDE, SIDE)
    assert not moved["box_masks"][:, 1].any()
    kept = moved["labels"][:, 0] == 3
    assert not moved["box_masks"][~kept].any()
    want = crops(moved["masks"][kept, 0], moved["boxes"][kept, 0])
    wrong = (moved["box_masks"][kept, 0] != want).mean(axis=(1, 2))
    # The whole mask is sampled at pixels, of which a small box has few along a triangle's edge.
    large = (moved["boxes"][kept, 0, 2:] - moved["boxes"][kept, 0, :2]).min(axis=1) > 12
    assert large.sum() > COUNT / 3
    if name in LOSSLESS:
        # A cell's middle on the border of two pixels takes the one after it, mirrored the other.
        assert wrong.max() < 0.04
        before = drawn()["box_masks"].numpy()[:, 0]
        turns = [before[:, ::down, ::across] for down in (1, -1) for across in (1, -1)]
        same = [(turn == moved["box_masks"][:, 0]).all(axis=(1, 2)) for turn in turns]
        assert np.any(same, axis=0).all()
    else:
        assert wrong[large].max() < 0.12
        assert wrong[large].mean() < 0.05
        flipped = (moved["box_masks"][kept, 0, :, ::-1] != want).mean(axis=(1, 2))
        assert flipped[large].mean() > 3 * wrong[large].mean()


def test_a_scale_without_a_cut_leaves_masks_as_they_are():
    batch = drawn()
    moved = ScaleJitter(scale=(0.37, 0.93))(batch, tf.constant([1, 2]))
    np.testing.assert_array_equal(moved["box_masks"], batch["box_masks"])
