"""Batches of boxes and masks, by each of the ways that images come."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import Mosaic, RandomFlip, chain
from kerakit.data import (
    DetectionBatches,
    IndexedSource,
    Preparation,
    StreamSource,
    batches,
    detection_evaluation_batches,
    load,
    objects,
)
from kerakit.data.mask_shapes import counted
from kerakit.data.objects import Objects
from kerakit.errors import InputError

COUNT = 11
LETTERBOX = Preparation(height=40, width=60, fit="letterbox")


def drawn():
    """Pictures of sizes of their own with rectangles drawn in them, red i + 1, none in the last."""
    rng = np.random.default_rng(2)
    sizes, pictures, owner, boxes, labels, masks = [], [], [], [], [], []
    for number in range(COUNT):
        height, width = rng.integers(30, 50, 2)
        picture = np.zeros((height, width, 3), np.uint8)
        for row in range(number % 4 if number < COUNT - 1 else 0):
            y, x = rng.integers(0, (height - 15, width - 15))
            h, w = rng.integers(4, 15, 2)
            mask = np.zeros((height, width), bool)
            mask[y : y + h, x : x + w] = True
            picture[mask] = (number + 1, 255, 0)
            owner.append(number)
            boxes.append([x, y, x + w, y + h])
            labels.append(row)
            masks.append({"counts": counted(mask), "size": (height, width)})
        sizes.append((height, width))
        pictures.append(picture)
    table = Objects(sizes, image=owner, boxes=boxes, labels=labels, segmentations=masks)
    return pictures, table


@pytest.fixture(params=["memory", "index", "stream"])
def source(request, monkeypatch):
    pictures, table = drawn()
    files = tf.constant([tf.io.encode_png(picture).numpy() for picture in pictures])

    def record(index):
        return {"encoded": files[index], "example_id": tf.cast(index, tf.int32)}

    def example(index):
        return {
            "image": tf.io.decode_png(files[index], channels=3),
            "example_id": tf.cast(index, tf.int32),
        }

    indexed = IndexedSource(COUNT, example, record=record, objects=table)
    if request.param == "memory":
        return indexed
    monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(batches, "_BLOCK", 4)
    monkeypatch.setattr(objects, "_MASK_LIMIT", 0)  # masks are drawn at each use
    if request.param == "index":
        return indexed
    return StreamSource(COUNT, indexed.encoded_dataset(), objects=table)


def taken(source, count, *, first=0, **options):
    made = DetectionBatches(source, LETTERBOX, **{"batch_size": 4, "seed": 3, **options})
    steps = itertools.islice(made.starting_at(first).as_numpy_iterator(), count)
    return list(steps)


def test_targets_are_where_they_are_drawn(source):
    table = source.objects
    made = DetectionBatches(source, LETTERBOX, batch_size=4, seed=3)
    assert (made.steps_per_epoch, made.max_boxes) == (2, 8)
    seen = []
    for images, y in taken(source, 4):
        assert (images.shape, images.dtype) == ((4, 40, 60, 3), np.uint8)
        assert {key: (v.shape, v.dtype.name) for key, v in y.items()} == {
            "boxes": ((4, 8, 4), "float32"),
            "labels": ((4, 8), "int32"),
            "crowd": ((4, 8), "bool"),
            "area": ((4, 8), "float32"),
            "masks": ((4, 8, 112, 112), "uint8"),
            "image_size": ((4, 2), "int32"),
            "example_id": ((4,), "int32"),
        }
        seen += y["example_id"].tolist()
        for row, number in enumerate(y["example_id"]):
            own = table.image == number
            np.testing.assert_array_equal(y["image_size"][row], table.sizes[number])
            there = y["labels"][row] >= 0
            np.testing.assert_array_equal(y["labels"][row][there], table.labels[own])
            np.testing.assert_array_equal(y["area"][row][there], table.area[own])
            assert not y["boxes"][row][~there].any()
            assert not y["masks"][row][~there].any()
            assert y["masks"][row][there].all()  # rectangles fill their boxes
            scale = min(40 / table.sizes[number][0], 60 / table.sizes[number][1])
            shift = (np.array([60, 40]) - table.sizes[number][::-1] * scale) / 2
            want = table.boxes[own] * scale + np.tile(shift, 2)
            np.testing.assert_allclose(y["boxes"][row][there], want, atol=1e-4)
            for left, top, right, bottom in want:
                # Inside by a pixel all is drawn there.
                inside = images[row][
                    int(np.ceil(top)) + 1 : int(bottom) - 1, int(np.ceil(left)) + 1 : int(right) - 1
                ]
                assert (inside[..., 1] == 255).all()
    assert len(set(seen[:8])) == 8


def test_a_run_resumed_at_a_step_sees_what_it_would_have_seen(source):
    augment = chain(Mosaic(), RandomFlip())
    whole = taken(source, 5, augment=augment)
    late = taken(source, 2, augment=augment, first=3)
    for (x, y), (late_x, late_y) in zip(whole[3:], late, strict=True):
        np.testing.assert_array_equal(x, late_x)
        assert y.keys() == late_y.keys()
        for key in y:
            np.testing.assert_array_equal(y[key], late_y[key])
    assert whole[0][1]["boxes"].shape == (4, 16, 4)
    assert len({x.tobytes() for x, _ in whole}) == 5


def test_surplus_boxes_are_left_out_of_training_and_refused_in_evaluation(source):
    steps = taken(source, 4, max_boxes=2)
    assert steps[0][1]["boxes"].shape == (4, 2, 4)
    assert max((y["labels"] >= 0).sum(axis=1).max() for _, y in steps) == 2
    with pytest.raises(InputError, match="`max_boxes` must be at least 3 here"):
        detection_evaluation_batches(source, LETTERBOX, batch_size=4, max_boxes=2)


def test_evaluation_is_everything_once_and_goes_back_to_original_pixels(source):
    dataset = detection_evaluation_batches(source, LETTERBOX, batch_size=4, full_masks=True)
    assert dataset.cardinality() == 3
    table, numbers = source.objects, []
    for images, y in dataset.as_numpy_iterator():
        numbers += y["example_id"].tolist()
        assert len(images) == len(y["boxes"])
        assert y["full_masks"].shape[1:] == (8, *table.largest_size)
        scale, shift = y["geometry"][:, None, 1::-1], y["geometry"][:, None, :1:-1]
        back = (y["boxes"] - np.tile(shift, 2)) / np.tile(scale, 2)
        for row, number in enumerate(y["example_id"]):
            own = table.boxes[table.image == number]
            np.testing.assert_allclose(back[row][: len(own)], own, atol=1e-4)
            for mask, (left, top, right, bottom) in zip(
                y["full_masks"][row], own.astype(int), strict=False
            ):
                assert mask[top:bottom, left:right].all()
                assert mask.sum() == (bottom - top) * (right - left)
            assert not y["full_masks"][row][len(own) :].any()
    assert numbers == list(range(COUNT))


def test_a_set_without_a_single_box_or_mask():
    table = Objects([(8, 8)] * 4, image=[], boxes=[], labels=[])
    example = lambda index: {  # noqa: E731
        "image": tf.zeros((8, 8, 3), tf.uint8),
        "example_id": tf.cast(index, tf.int32),
    }
    source = IndexedSource(4, example, objects=table)
    ((_, y),) = taken(source, 1)
    assert y["boxes"].shape == (4, 8, 4)
    assert (y["labels"] == -1).all()
    with pytest.raises(InputError, match="`full_masks` needs masks"):
        detection_evaluation_batches(source, LETTERBOX, batch_size=2, full_masks=True)


def test_bad_arguments(source):
    with pytest.raises(ValueError, match="must keep the whole image, .* got crop"):
        DetectionBatches(source, Preparation(height=8, width=8, fit="crop"), batch_size=4, seed=0)
    with pytest.raises(ValueError, match="`max_boxes` must be at least 1, got 0"):
        taken(source, 1, max_boxes=0)
    with pytest.raises(ValueError, match="`source` must have objects"):
        DetectionBatches(load("digits").train_source, LETTERBOX, batch_size=4, seed=0)
