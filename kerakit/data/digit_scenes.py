"""Handwritten digits in scenes: the embedded set with boxes and masks."""

import numpy as np
import tensorflow as tf

from kerakit.data.digits import load_digits
from kerakit.data.mask_counts import MaskCounts
from kerakit.data.mask_shapes import counted
from kerakit.data.objects import Objects
from kerakit.data.source import Data, IndexedSource

SIDE = 96
_SIZES = {"train": 1500, "val": 300}
_MOST = 6
_DIGIT_SIDES = (20, 40)
_ATTEMPTS = 20
# Share of the smaller digit's box that another one's may cover.
_OVERLAP = 0.15
_INK = 0.35
# Class of the semantic mask where there is no digit; digit d is class d + 1.
BACKGROUND = 0


def load_digit_scenes(*, task):
    """1,500 scenes to learn from and 300 held out, 96 x 96, of one to six digits each.

    Digits of the embedded set, 20 to 40 pixels high, of a colour each, on dark noise. Scenes
    held out have only digits that are held out in `digits`. A scene is a function of its part
    and number alone, so that every figure about these scenes is about the same images.

    Args:
        task: "detection"; "instance_segmentation", which adds masks; or "segmentation".

    Returns:
        `Data` with classes "0" to "9", for segmentation "background" before them; examples have
        `mask` (96, 96) uint8: 0 where there is no digit, else the digit's class plus 1. Of digits
        that overlap the later one is in front; boxes are the bounds of what is seen.
    """
    digits = load_digits()
    pools = {"train": digits.train_source, "val": digits.val_source}
    sources = {part: _source(part, pool, task) for part, pool in pools.items()}
    classes = digits.classes
    if task == "segmentation":
        classes = ("background", *classes)
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=classes,
        name="digit-scenes",
        task=task,
        licence=digits.licence,
        citation=digits.citation,
    )


def _source(part, pool, task):
    images, labels = [], []
    for example in pool.dataset().as_numpy_iterator():
        images.append(example["image"][..., 0] / np.float32(255))
        labels.append(example["label"])
    enlarged = Enlarged(np.stack(images))
    count = _SIZES[part]
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    semantic = np.empty((count, SIDE, SIDE), np.uint8)
    owner, boxes, found, masks = [], [], [], []
    for number in range(count):
        rng = np.random.default_rng([list(_SIZES).index(part), number])
        pictures[number], instances, chosen = digit_scene(enlarged, rng)
        semantic[number] = BACKGROUND
        for place, digit in enumerate(chosen):
            mask = instances == place + 1
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if not len(rows):
                continue
            semantic[number][mask] = labels[digit] + 1
            owner.append(number)
            found.append(labels[digit])
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            masks.append({"counts": counted(mask), "size": (SIDE, SIDE)})
    if task == "segmentation":
        return _semantic_source(pictures, semantic, num_classes=len(set(labels)) + 1)
    objects = Objects(
        np.full((count, 2), SIDE),
        image=owner,
        boxes=boxes,
        labels=found,
        area=[mask["counts"][1::2].sum() for mask in masks],
        segmentations=masks if task == "instance_segmentation" else None,
    )
    return IndexedSource(count, _example_of(pictures, semantic), objects=objects)


def _semantic_source(pictures, semantic, *, num_classes):
    pixels = np.zeros((len(semantic), num_classes + 1), np.int64)
    for place, mask in enumerate(semantic):
        pixels[place, :num_classes] = np.bincount(mask.ravel(), minlength=num_classes)
    counts = MaskCounts(np.full((len(semantic), 2), SIDE), pixels)
    return IndexedSource(len(semantic), _example_of(pictures, semantic), masks=counts)


def _example_of(pictures, semantic):
    pictures, semantic = tf.constant(pictures), tf.constant(semantic)

    def example(index):
        example_id = tf.cast(index, tf.int32)
        return {"image": pictures[index], "mask": semantic[index], "example_id": example_id}

    return example


def digit_scene(enlarged, rng):
    """Composes a scene.

    Args:
        enlarged: `Enlarged` digits.
        rng: `numpy.random.Generator`.

    Returns:
        Picture (96, 96, 3) uint8; (96, 96) int, 0 or 1 plus the place in the third of the digit
        that is seen there; the numbers of the digits.
    """
    picture = rng.uniform(0, 70, 3) + rng.normal(0, 12, (SIDE, SIDE, 1))
    instances = np.zeros((SIDE, SIDE), int)
    placed, chosen = [], []
    for _ in range(rng.integers(1, _MOST + 1)):
        digit, side = rng.integers(len(enlarged.ink)), rng.integers(*_DIGIT_SIDES, endpoint=True)
        colour = rng.uniform(120, 255, 3)
        places = rng.integers(0, SIDE - side + 1, (_ATTEMPTS, 2))
        free = [place for place in places if _is_free(place, side, placed)]
        if not free:
            continue
        (top, left), ink = free[0], enlarged(digit, side)
        window = slice(top, top + side), slice(left, left + side)
        picture[window] += ink[..., None] * (colour - picture[window])
        placed.append((top, left, side))
        chosen.append(digit)
        instances[window][ink > _INK] = len(chosen)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8), instances, chosen


def _is_free(place, side, placed):
    for top, left, other in placed:
        down = min(place[0] + side, top + other) - max(place[0], top)
        across = min(place[1] + side, left + other) - max(place[1], left)
        if min(down, across) > 0 and down * across > _OVERLAP * min(side, other) ** 2:
            return False
    return True


class Enlarged:
    """Digits of 8 x 8 pixels enlarged bilinearly, by matrices of which there is one a side."""

    def __init__(self, ink):
        self.ink = ink
        self._shares = {}

    def __call__(self, digit, side):
        if side not in self._shares:
            cells = self.ink.shape[1]
            place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
            distance = np.abs(place[:, None] - np.arange(cells))
            self._shares[side] = np.maximum(0.0, 1.0 - distance)
        return self._shares[side] @ self.ink[digit] @ self._shares[side].T
