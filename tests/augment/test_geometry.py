"""Boxes and masks drawn into pictures: where they move, the transforms say they are."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import (
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    chain,
    tighten_boxes,
)
from kerakit.augment.rand_augment import OPERATIONS

HEIGHT, WIDTH, COUNT = 60, 72, 1000
UPRIGHT = {
    "flip": RandomFlip(vertical=True),
    "crop": RandomCrop((40, 50), padding=6, min_visible=0.2),
    "resized crop": RandomResizedCrop((48, 56), scale=(0.2, 1.0), min_visible=0.2),
    "shift and zoom": RandomAffine(translation=0.3, zoom=0.3, min_visible=0.2),
    "chain": chain(RandomResizedCrop((48, 48), scale=(0.4, 1.0)), RandomFlip()),
}
TURNING = {
    "turn": RandomAffine(rotation=180, translation=0.1, zoom=0.2),
    "turn and shear": RandomAffine(rotation=180, translation=0.1, zoom=0.2, shear=20),
    # Half of its operations change colours, which must not hide what is drawn.
    "RandAugment": RandAugment(magnitude=15),
}


def drawn(seed=0):
    """A batch with a box in each picture, drawn, and as box, as mask and as class ids."""
    rng = np.random.default_rng(seed)
    extent = rng.integers(12, 30, (COUNT, 2))
    start = (rng.random((COUNT, 2)) * ((WIDTH, HEIGHT) - extent + 1)).astype(int)
    boxes = np.concatenate([start, start + extent], axis=1)
    masks = np.zeros((COUNT, 1, HEIGHT, WIDTH), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks[:, 0], boxes, strict=True):
        mask[top:bottom, left:right] = 1
    # 0: the box; 2: what is picture, against what comes from outside.
    image = np.stack([masks[:, 0] * 255, masks[:, 0] * 0, masks[:, 0] * 0 + 255], axis=-1)
    return {
        "image": tf.constant(image),
        "boxes": tf.constant(boxes[:, None], tf.float32),
        "labels": tf.fill((COUNT, 1), 4),
        "masks": tf.constant(masks),
        "mask": tf.constant(masks[:, 0] * 9),
    }


def bounds(filled):
    """xyxy of what is filled in (n, h, w)."""
    rows, columns = filled.any(axis=2), filled.any(axis=1)
    height, width = filled.shape[1:]
    return np.stack(
        [
            columns.argmax(1),
            rows.argmax(1),
            width - columns[:, ::-1].argmax(1),
            height - rows[:, ::-1].argmax(1),
        ],
        axis=1,
    )


@pytest.fixture(scope="module")
def batch():
    return drawn()


@pytest.mark.parametrize("name", UPRIGHT)
def test_boxes_and_masks_are_where_they_are_drawn(batch, name):
    moved = {k: v.numpy() for k, v in UPRIGHT[name](batch, tf.constant([1, 2])).items()}
    seen, kept = moved["image"][..., 0] >= 128, moved["labels"][:, 0] == 4
    assert kept.sum() > 500
    boxes, masks = moved["boxes"][kept, 0], moved["masks"][kept, 0] > 0
    assert np.abs(bounds(masks) - boxes).max() <= 1
    assert np.abs(bounds(seen[kept]) - boxes).max() <= 1
    # A mask's border is its picture's: half of the light, but for corners and fine scales.
    assert (masks != seen[kept]).sum(axis=(1, 2)).max() <= 0.02 * seen[0].size
    ids, inside = moved["mask"], moved["image"][..., 2] >= 128
    # At the four corners of what is picture the light falls off both ways.
    assert ((ids == 255) != ~inside).sum(axis=(1, 2)).max() <= 4
    np.testing.assert_array_equal((ids == 9)[kept], masks)
    assert (moved["labels"][~kept] == -1).all()
    assert not moved["boxes"][~kept].any()


@pytest.mark.parametrize("name", TURNING)
def test_boxes_that_turn_are_around_what_is_drawn(batch, name):
    moved = TURNING[name](batch, tf.constant([1, 2]))
    exact = tighten_boxes(moved, tf.constant([0, 0]))["boxes"].numpy()[:, 0]
    moved = {k: v.numpy() for k, v in moved.items()}
    boxes, masks = moved["boxes"][:, 0], moved["masks"][:, 0] > 0
    whole = (boxes[:, :2] > 0).all(1) & (boxes[:, 2:] < (WIDTH, HEIGHT)).all(1)
    if name == "RandAugment":
        chosen = TURNING[name].draws(tf.constant([1, 2]), batch_size=COUNT)[0].numpy()
        # Where all it does is to move, the masks came from outside where the picture did.
        only = (chosen <= OPERATIONS.index("rotate")).all(axis=1)
        outside = moved["image"][only][..., 2] == 0
        np.testing.assert_array_equal(moved["mask"][only] == 255, outside)
        # Never cut, for its moves keep the area; turned once at most, for the box around a
        # turned box is looser.
        area = batch["masks"].numpy().sum(axis=(1, 2, 3))
        whole &= np.abs(masks.sum(axis=(1, 2)) / area - 1) < 0.1
        turns = [OPERATIONS.index(turn) for turn in ("shear_x", "shear_y", "rotate")]
        whole &= np.isin(chosen, turns).sum(axis=1) <= 1
    assert whole.sum() > 300
    # Of a corner sharper than a right angle more than a pixel has no pixel's centre in it.
    assert np.abs(bounds(masks) - boxes)[whole].max() <= (1.5 if "shear" in name else 1)
    np.testing.assert_array_equal(exact[whole], bounds(masks[whole]))
    if "turn" in name:
        seen = moved["image"][..., 0] >= 64  # a corner's pixel is less than half full
        assert np.abs(bounds(seen) - boxes)[whole].max() <= 1
        # The bounds of what a turned box leaves in the picture lie in the clipped box.
        cut = (moved["labels"][:, 0] == 4) & ~whole & masks.any(axis=(1, 2))
        assert (bounds(masks)[cut, :2] >= boxes[cut, :2] - 1).all()
        assert (bounds(masks)[cut, 2:] <= boxes[cut, 2:] + 1).all()


def test_the_example_of_the_docstring_a_turned_disc():
    rows, columns = np.mgrid[:120, :120] - 59.5
    disc = (np.hypot(rows, columns) < 50).astype(np.uint8)[None, None]
    batch = {
        "image": tf.zeros((1, 120, 120, 1), tf.uint8),
        "masks": tf.constant(disc),
        "boxes": tf.constant([[[10.0, 10.0, 110.0, 110.0]]]),
        "labels": tf.constant([[0]]),
    }
    widths = []
    for number in range(40):
        moved = RandomAffine(rotation=180)(batch, tf.constant([0, number]))
        tight = tighten_boxes(moved, None)["boxes"].numpy()[0, 0]
        np.testing.assert_allclose(tight, [10, 10, 110, 110], atol=1)
        widths.append(float(moved["boxes"][0, 0, 2] - moved["boxes"][0, 0, 0]))
    assert max(widths) == 120  # 141, cut off at the picture's border


@pytest.mark.parametrize("name", [*UPRIGHT, *TURNING])
def test_frames_of_a_clip_move_alike(name):
    few = {key: value[:5] for key, value in drawn().items()}
    transform, seed = {**UPRIGHT, **TURNING}[name], tf.constant([7, 8])
    clips = {**few, "video": tf.stack([few["image"]] * 3, axis=1)}
    del clips["image"]
    one, all_frames = transform(few, seed), transform(clips, seed)
    for frame in range(3):
        np.testing.assert_array_equal(all_frames["video"][:, frame], one["image"])
    np.testing.assert_array_equal(all_frames["boxes"], one["boxes"])
    np.testing.assert_array_equal(all_frames["mask"], one["mask"])


def test_tighten_drops_what_has_no_pixel():
    masks = np.zeros((1, 3, 6, 8), np.uint8)
    masks[0, 0, 2:4, 1:6] = 1
    masks[0, 2, 5, 7] = 1
    batch = {
        "masks": tf.constant(masks),
        "boxes": tf.ones((1, 3, 4)),
        "labels": tf.constant([[5, 6, -1]]),
    }
    tight = tighten_boxes(batch, None)
    assert tight["boxes"].numpy().tolist() == [[[1, 2, 6, 4], [0, 0, 0, 0], [0, 0, 0, 0]]]
    assert tight["labels"].numpy().tolist() == [[5, -1, -1]]
