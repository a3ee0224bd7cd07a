"""What every transform promises: a function of the seed, an example at a time, in any batch."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import (
    ColorJitter,
    CutMix,
    Cutout,
    ElasticDeformation,
    Mixup,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    chain,
)
from kerakit.augment.draws import draw_seeds

JOINT = {
    "affine": RandomAffine(rotation=30, translation=0.2, zoom=0.2, shear=10),
    "crop": RandomCrop((8, 9), padding=1),
    "flip": RandomFlip(vertical=True),
    "jitter": ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2),
    "cutout": Cutout(probability=1.0),
    "RandAugment": RandAugment(magnitude=20),
    "resized crop": RandomResizedCrop((8, 9)),
    "chain": chain(RandomFlip(), Cutout()),
}
MIXING = {"mixup": Mixup(5, alpha=1.0), "cutmix": CutMix(5)}
ALL = {**JOINT, **MIXING}
SEED = tf.constant([11, 12])


def batch(rng, count=6, boxes=2, size=(12, 14)):
    corner = rng.uniform(0, 6, (count, boxes, 2))
    return {
        "image": tf.constant(rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)),
        "label": tf.constant(rng.integers(0, 5, count)),
        "boxes": tf.constant(np.concatenate([corner, corner + 5], axis=-1), tf.float32),
        "labels": tf.constant(rng.integers(-1, 3, (count, boxes)), tf.int32),
        "masks": tf.constant(rng.integers(0, 2, (count, boxes, *size), dtype=np.uint8)),
        "mask": tf.constant(rng.integers(0, 4, (count, *size), dtype=np.uint8)),
        "example_id": tf.range(count),
    }


def for_transform(name, values):
    """Mixing takes pictures with one label each."""
    keys = ("image", "label") if name in MIXING else values
    return {key: values[key] for key in keys}


def assert_same(one, other):
    assert set(one) == set(other)
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.parametrize("name", ALL)
def test_is_a_function_of_the_seed(rng, name):
    values = for_transform(name, batch(rng))
    one = ALL[name](values, SEED)
    assert_same(one, ALL[name](values, SEED))
    spec = {
        key: tf.TensorSpec((None, *value.shape[1:]), value.dtype) for key, value in values.items()
    }
    traced = tf.function(ALL[name]).get_concrete_function(spec, tf.TensorSpec((2,), tf.int32))
    in_data = tf.data.Dataset.from_tensors(values).map(lambda x: traced(x, SEED))
    assert_same(one, next(iter(in_data)))
    other = ALL[name](values, tf.constant([11, 13]))
    assert np.mean(one["image"].numpy() != other["image"].numpy()) > 0.05
    assert one["image"].dtype == tf.uint8
    if "example_id" in values:
        np.testing.assert_array_equal(one["example_id"], values["example_id"])
        np.testing.assert_array_equal(one["label"], values["label"])


@pytest.mark.parametrize("name", JOINT)
def test_an_example_does_not_depend_on_the_others(rng, name):
    values, others = batch(rng), batch(rng)
    mixed = {key: tf.concat([values[key][:3], others[key][3:]], axis=0) for key in values}
    one, other = JOINT[name](values, SEED), JOINT[name](mixed, SEED)
    fewer = JOINT[name]({key: values[key][:3] for key in values}, SEED)
    first = {key: one[key][:3] for key in one}
    assert_same(first, fewer)
    assert_same(first, {key: other[key][:3] for key in other})


@pytest.mark.parametrize("name", JOINT)
def test_each_example_draws_for_itself(rng, name):
    one = batch(rng, count=1)
    same = {key: tf.repeat(value, 6, axis=0) for key, value in one.items()}
    got = JOINT[name](same, SEED)["image"].numpy()
    assert len(np.unique(got.reshape(6, -1), axis=0)) >= (2 if name in ("flip", "chain") else 3)


@pytest.mark.parametrize("name", JOINT)
def test_no_boxes_and_padding_alone(rng, name):
    none = JOINT[name](batch(rng, boxes=0), SEED)
    assert none["boxes"].shape == (6, 0, 4)
    assert none["masks"].shape[:2] == (6, 0)
    padding = batch(rng)
    padding["labels"] = tf.fill((6, 2), -1)
    assert (JOINT[name](padding, SEED)["labels"].numpy() == -1).all()


@pytest.mark.parametrize("name", sorted(set(ALL) - {"crop"}))
def test_one_pixel(rng, name):
    values = for_transform(name, batch(rng, size=(1, 1)))
    got = ALL[name](values, SEED)
    assert got["image"].dtype == tf.uint8
    assert got["image"].shape[1:3] == ((8, 9) if name == "resized crop" else (1, 1))


@pytest.mark.parametrize("name", [*ALL, "elastic"])
def test_each_frame_of_a_clip_is_the_image_of_the_same_draw(rng, name):
    transform = {**ALL, "elastic": ElasticDeformation(displacement=3.0)}[name]
    video = tf.constant(rng.integers(0, 256, (6, 4, 12, 14, 3), dtype=np.uint8))
    label = tf.range(6) % 5
    whole = transform({"video": video, "label": label}, SEED)
    assert whole["video"].dtype == tf.uint8
    for frame in range(4):
        one = transform({"image": video[:, frame], "label": label}, SEED)
        np.testing.assert_array_equal(whole["video"][:, frame], one["image"])
        np.testing.assert_array_equal(whole["label"], one["label"])


def test_a_chain_gives_each_its_seed(rng):
    values = batch(rng)
    flip, crop = RandomFlip(), RandomCrop((8, 8))
    first, second = draw_seeds(SEED, 2)
    assert_same(chain(flip, crop)(values, SEED), crop(flip(values, first), second))
    assert_same(chain()(values, SEED), values)
