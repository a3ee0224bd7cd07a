import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomAffine
from kerakit.data import (
    IndexedSource,
    Preparation,
    StreamSource,
    TrainingBatches,
    batches,
    evaluation_batches,
)
from kerakit.errors import InputError

PREPARATION = Preparation(height=4, width=4)
SIZE = 23


def _example(index):
    """An image that is its label, so that a batch tells which examples are in it."""
    label = tf.cast(index, tf.int32)
    image = tf.fill((5, 6, 3), tf.cast(10 * index, tf.uint8))
    return {"image": image, "label": label, "example_id": label}


@pytest.fixture(params=["memory", "index", "stream"])
def source(request, monkeypatch):
    """The same examples by each of the three ways that batches are made."""
    indexed = IndexedSource(SIZE, _example)
    if request.param == "memory":
        return indexed
    monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(batches, "_BLOCK", 8)  # several to an epoch
    if request.param == "index":
        return indexed
    return StreamSource(SIZE, indexed.encoded_dataset())


def taken(source, count, *, first_step=0, **options):
    options = {"batch_size": 5, "seed": 3, **options}
    dataset = TrainingBatches(source, PREPARATION, **options).starting_at(first_step)
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(dataset, count)]


def test_evaluation_is_over_when_its_last_batch_is(source):
    assert evaluation_batches(source, PREPARATION, batch_size=5).options().autotune.enabled is False


def test_an_epoch_has_each_example_at_most_once_and_epochs_differ(source):
    made = TrainingBatches(source, PREPARATION, batch_size=5, seed=3)
    assert made.steps_per_epoch == 4
    steps = taken(source, 24)
    for images, labels in steps:
        assert images.shape == (5, 4, 4, 3)
        np.testing.assert_array_equal(images[:, 0, 0, 0], (10 * labels) % 256)
    epochs = [np.concatenate([y for _, y in steps[i : i + 4]]) for i in range(0, 24, 4)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert set(np.concatenate(epochs)) == set(range(SIZE))  # who sat out changes
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], np.sort(epochs[0]))


def test_a_run_resumed_at_a_step_sees_what_it_would_have_seen(source):
    augment = RandomAffine(rotation=30, translation=0.2)
    whole = taken(source, 10, augment=augment)
    for first in (1, 4, 6):  # within an epoch, at its end, in the next
        late = taken(source, 10 - first, augment=augment, first_step=first)
        for (images, labels), (late_images, late_labels) in zip(whole[first:], late, strict=True):
            np.testing.assert_array_equal(images, late_images)
            np.testing.assert_array_equal(labels, late_labels)


def test_the_order_is_a_function_of_the_seed_given_and_of_no_other(source):
    def labels(**options):
        return np.stack([y for _, y in taken(source, 4, **options)])

    tf.random.set_seed(1)
    before = labels()
    tf.random.set_seed(2)
    np.testing.assert_array_equal(before, labels())
    assert not np.array_equal(before, labels(seed=4))


def test_images_in_memory_are_prepared_once():
    reads = []

    class Counting(IndexedSource):
        def dataset(self):
            reads.append(1)
            return super().dataset()

    made = TrainingBatches(Counting(SIZE, _example), PREPARATION, batch_size=5, seed=0)
    made.starting_at(0)
    made.starting_at(7)
    assert len(reads) == 1


def test_augmentation_gets_the_batch_and_a_key_of_seed_and_step(source):
    def draw(batch, seed):
        noise = tf.random.stateless_uniform((4, 4, 3), seed, 0, 256, tf.int32)
        image = tf.broadcast_to(tf.cast(noise, tf.uint8), tf.shape(batch["image"]))
        return {**batch, "image": image}

    first = [x for x, _ in taken(source, 8, augment=draw)]
    assert len({x.tobytes() for x in first}) == 8  # another draw each step, epochs too
    other = [x for x, _ in taken(source, 8, augment=draw, seed=4)]
    assert not {x.tobytes() for x in first} & {x.tobytes() for x in other}


def test_evaluation_is_everything_once_in_order(source):
    dataset = evaluation_batches(source, PREPARATION, batch_size=5)
    assert dataset.cardinality() == 5
    for _ in range(2):
        images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
        assert [len(y) for y in labels] == [5, 5, 5, 5, 3]
        np.testing.assert_array_equal(np.concatenate(labels), np.arange(SIZE))
        np.testing.assert_array_equal(np.concatenate(images)[:, 0, 0, 0], 10 * np.arange(SIZE))


def test_memory_and_disk_give_the_same_batches(monkeypatch):
    source = IndexedSource(SIZE, _example)
    from_memory = taken(source, 9)
    monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
    for (x, y), (late_x, late_y) in zip(from_memory, taken(source, 9), strict=True):
        np.testing.assert_array_equal(x, late_x)
        np.testing.assert_array_equal(y, late_y)


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(InputError, match="A batch of 24 is larger than the training set of 23"):
        TrainingBatches(IndexedSource(SIZE, _example), PREPARATION, batch_size=24, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"seed": -1}, r"`seed` must be in \[0, 2\*\*31\), got -1"),
    ],
)
def test_bad_numbers_are_refused(options, message):
    settings = {"batch_size": 5, "seed": 0, **options}
    with pytest.raises(ValueError, match=message):
        TrainingBatches(IndexedSource(SIZE, _example), PREPARATION, **settings)


def test_a_step_before_the_first_is_refused():
    made = TrainingBatches(IndexedSource(SIZE, _example), PREPARATION, batch_size=5, seed=0)
    with pytest.raises(ValueError, match="`step` must be at least 0, got -1"):
        made.starting_at(-1)
