"""Mosaics: what is drawn in four pictures is where the boxes say in one."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import Mosaic

COUNT, HEIGHT, WIDTH, ROWS = 48, 60, 72, 3


def drawn():
    """Pictures with one filled box each, of a brightness that tells the example; rows 1 of 3."""
    rng = np.random.default_rng(3)
    image = np.zeros((COUNT, HEIGHT, WIDTH, 3), np.uint8)
    image[..., 2] = 255  # what is picture
    boxes = np.zeros((COUNT, ROWS, 4), np.float32)
    masks = np.zeros((COUNT, ROWS, 112, 112), np.uint8)
    labels = np.full((COUNT, ROWS), -1, np.int32)
    for example in range(COUNT):
        width, height = rng.integers(14, 30, 2)
        x, y = rng.integers(0, (WIDTH - width, HEIGHT - height))
        image[example, y : y + height, x : x + width, 0] = 255
        boxes[example, 1] = [x, y, x + width, y + height]
        labels[example, 1] = example
        masks[example, 1] = 1
    return {
        "image": tf.constant(image),
        "boxes": tf.constant(boxes),
        "labels": tf.constant(labels),
        "crowd": tf.constant(labels % 2 == 0),
        "area": tf.constant(labels, tf.float32) * 10,
        "box_masks": tf.constant(masks),
        "example_id": tf.range(COUNT),
    }


def test_boxes_are_around_what_is_drawn():
    mosaic = Mosaic(scale=(0.5, 1.2), fill=0)
    seed = tf.constant([1, 2])
    made = {key: value.numpy() for key, value in mosaic(drawn(), seed).items()}
    _, middle = mosaic.draws(seed, batch_size=COUNT, size=tf.constant([HEIGHT, WIDTH]))
    assert made["boxes"].shape == (COUNT, 2 * ROWS, 4)
    checked = from_others = 0
    for example in range(COUNT):
        there = made["labels"][example] >= 0
        assert not made["boxes"][example][~there].any()
        assert not made["box_masks"][example][~there].any()
        for box, label, crowd, area in zip(
            *(made[key][example][there] for key in ("boxes", "labels", "crowd", "area")),
            strict=True,
        ):
            from_others += label != example
            assert (example - label) % COUNT in range(4)
            assert (crowd, area) == (label % 2 == 0, 10 * label)
            # The quarter of this partner: 0 is the own, at the upper left.
            part = (example - label) % COUNT
            y, x = middle[example].numpy()
            rows = slice(0, y) if part < 2 else slice(y, HEIGHT)
            columns = slice(0, x) if part % 2 == 0 else slice(x, WIDTH)
            seen = made["image"][example, rows, columns, 0] >= 128
            down, across = np.nonzero(seen)
            top, left = rows.start, columns.start
            bounds = [
                across.min() + left,
                down.min() + top,
                across.max() + 1 + left,
                down.max() + 1 + top,
            ]
            assert np.abs(bounds - box).max() <= 1
            checked += 1
        # And what is drawn has a box, but for slivers.
        covered = np.zeros((HEIGHT, WIDTH), bool)
        for x1, y1, x2, y2 in np.round(made["boxes"][example]).astype(int):
            covered[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = True
        assert ((made["image"][example, ..., 0] >= 128) & ~covered).sum() < 0.1 * 30 * 30 * 4
    assert checked > COUNT
    assert from_others > COUNT / 2
    np.testing.assert_array_equal(made["example_id"], np.arange(COUNT))


def test_masks_are_cut_at_the_seams_with_their_boxes():
    # The left half of each box is the object: seen in a cut box it is what is left of it.
    batch = drawn()
    masks = batch["box_masks"].numpy()
    masks[..., 56:] = 0
    image = batch["image"].numpy()
    for example, box in enumerate(batch["boxes"].numpy()[:, 1]):
        x1, y1, x2, y2 = box.astype(int)
        image[example, y1:y2, int(np.ceil((x1 + x2) / 2)) : x2, 1] = 255  # the other half: yellow
    batch |= {"image": tf.constant(image), "box_masks": tf.constant(masks)}
    made = {k: v.numpy() for k, v in Mosaic(scale=(0.8, 1.2))(batch, tf.constant([4, 5])).items()}
    shares = []
    for example, row in zip(*np.nonzero(made["labels"] >= 0), strict=True):
        x1, y1, x2, y2 = np.round(made["boxes"][example, row]).astype(int)
        if min(x2 - x1, y2 - y1) < 6:
            continue
        patch = made["image"][example, y1:y2, x1:x2]
        seen = ((patch[..., 0] > 128) & (patch[..., 1] < 128)).mean()
        shares.append((seen, made["box_masks"][example, row].mean()))
    seen, told = np.array(shares).T
    assert len(seen) > COUNT
    assert told.max() > 0.9  # a right half that is cut off
    assert np.abs(seen - told).max() < 0.2  # half a pixel of some six
    assert np.abs(seen - told).mean() < 0.04


def test_without_an_event_all_stays():
    batch = drawn()
    made = Mosaic(probability=0.0, max_boxes=5)(batch, tf.constant([1, 2]))
    np.testing.assert_array_equal(made["image"], batch["image"])
    assert made["labels"].shape == (COUNT, 5)
    for example in range(COUNT):
        assert made["labels"][example].numpy().tolist() == [example, -1, -1, -1, -1]
        np.testing.assert_array_equal(made["boxes"][example, 0], batch["boxes"][example, 1])
        np.testing.assert_array_equal(made["box_masks"][example, 0], batch["box_masks"][example, 1])


def test_the_largest_boxes_stay_where_rows_are_few_and_rows_are_filled_up():
    batch, seed = drawn(), tf.constant([1, 2])
    whole, few, many = (Mosaic(max_boxes=most)(batch, seed) for most in (12, 1, 20))
    np.testing.assert_array_equal(few["boxes"], whole["boxes"][:, :1])
    assert many["labels"].shape == (COUNT, 20)
    np.testing.assert_array_equal(many["labels"][:, :12], whole["labels"])
    assert (many["labels"].numpy()[:, 12:] == -1).all()
    sides = whole["boxes"][..., 2:] - whole["boxes"][..., :2]
    areas = tf.reduce_prod(sides, axis=-1).numpy()
    assert (np.diff(areas) <= 0).all()


def test_the_same_seed_gives_the_same_also_in_a_graph():
    batch, mosaic = drawn(), Mosaic()
    eager, graph = (
        mosaic(batch, tf.constant([1, 2])),
        tf.function(mosaic)(batch, tf.constant([1, 2])),
    )
    for key in eager:
        np.testing.assert_allclose(eager[key], graph[key], atol=1e-4)
    other = mosaic(batch, tf.constant([1, 3]))
    assert not np.array_equal(other["image"], eager["image"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.0, 1.0)}, r"`scale` must be \(least, largest\) in \(0"),
        ({"probability": 2}, r"`probability` must be in \[0, 1\], got 2"),
        ({"fill": 300}, r"`fill` must be in \[0, 255\], got 300"),
        ({"min_visible": -1}, r"`min_visible` must be in \[0, 1\], got -1"),
        ({"max_boxes": 0}, "`max_boxes` must be at least 1, got 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Mosaic(**options)


def test_masks_of_the_whole_image_are_refused():
    batch = {**drawn(), "mask": tf.zeros((COUNT, HEIGHT, WIDTH), tf.uint8)}
    with pytest.raises(ValueError, match="masks only as `box_masks`, got a batch of"):
        Mosaic()(batch, tf.constant([0, 1]))
