import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import (
    ClipBatches,
    FrameSampling,
    IndexedClips,
    Preparation,
    StreamedClips,
    batches,
    clip_batches,
    clip_evaluation_batches,
    clip_validation_batches,
)
from kerakit.data.source import Data
from kerakit.errors import InputError

PREPARATION = Preparation(height=4, width=4)
COUNTS = np.array([7, 1, 9, 12, 2, 8, 7, 10, 3, 30, 7, 8, 9])
SIZE = len(COUNTS)
SAMPLING = FrameSampling(frames=3, stride=2)


def _frames(index, chosen):
    """Frame t of clip i is i in its first channel, and t in its second."""
    clip = tf.fill(tf.shape(chosen), tf.cast(index, tf.int32))
    colour = tf.stack([clip, chosen, tf.zeros_like(chosen)], axis=-1)
    return tf.cast(tf.tile(colour[:, None, None], (1, 5, 6, 1)), tf.uint8)


INDEXED = IndexedClips(COUNTS, np.arange(SIZE) % 4, _frames)


@pytest.fixture(params=["memory", "index", "stream", "stream in memory"])
def source(request, monkeypatch):
    """The same clips by each of the ways that batches are made."""
    if request.param in ("index", "stream"):
        monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
        monkeypatch.setattr(clip_batches, "_BLOCK", 5)  # several to an epoch
    if request.param in ("memory", "index"):
        return INDEXED
    return StreamedClips(COUNTS, INDEXED.encoded_dataset())


def taken(source, count, *, first_step=0, sampling=SAMPLING, **options):
    options = {"batch_size": 4, "seed": 3, **options}
    made = ClipBatches(source, PREPARATION, sampling, **options)
    return [
        (x.numpy(), y.numpy()) for x, y in itertools.islice(made.starting_at(first_step), count)
    ]


def test_an_epoch_has_each_clip_at_most_once_and_windows_of_its_frames(source):
    assert ClipBatches(source, PREPARATION, SAMPLING, batch_size=4, seed=3).steps_per_epoch == 3
    steps, starts = taken(source, 30), {}
    for clips, labels in steps:
        assert clips.shape == (4, 3, 4, 4, 3)
        assert (clips.dtype, labels.dtype) == (np.uint8, np.int32)
        assert (clips == clips[:, :, :1, :1]).all()
        for (number, first), shown, label in zip(clips[:, 0, 0, 0, :2], clips, labels, strict=True):
            assert label == number % 4
            assert (shown[..., 0] == number).all()
            wanted = np.minimum(first + np.array([0, 2, 4]), COUNTS[number] - 1)
            np.testing.assert_array_equal(shown[:, 0, 0, 1], wanted)
            starts.setdefault(int(number), set()).add(int(first))
    epochs = [
        [int(n) for x, _ in steps[i : i + 3] for n in x[:, 0, 0, 0, 0]] for i in range(0, 30, 3)
    ]
    assert all(len(set(epoch)) == 12 for epoch in epochs)
    assert set(itertools.chain(*epochs)) == set(range(SIZE))  # who sits out changes
    assert epochs[0] != epochs[1]
    assert len(starts[9]) > 3  # of 26 places
    assert starts[1] == {0}


def _noise(batch, seed):
    noise = tf.random.stateless_uniform(tf.shape(batch["video"]), seed, 0, 9, tf.int32)
    return {**batch, "video": batch["video"] + tf.cast(noise, tf.uint8)}


def test_a_run_resumed_at_a_step_sees_what_it_would_have_seen(source):
    whole = taken(source, 8, augment=_noise)
    for first in (1, 3, 5):  # within an epoch, at its end, in the next
        late = taken(source, 8 - first, augment=_noise, first_step=first)
        for (clips, labels), (late_clips, late_labels) in zip(whole[first:], late, strict=True):
            np.testing.assert_array_equal(clips, late_clips)
            np.testing.assert_array_equal(labels, late_labels)


@pytest.mark.parametrize("mode", ["dense", "uniform"])
def test_memory_and_disk_give_the_same_batches(mode, monkeypatch):
    sampling = FrameSampling(frames=3, mode=mode)
    from_memory = taken(INDEXED, 7, sampling=sampling)
    monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
    for (x, y), (late_x, late_y) in zip(
        from_memory, taken(INDEXED, 7, sampling=sampling), strict=True
    ):
        np.testing.assert_array_equal(x, late_x)
        np.testing.assert_array_equal(y, late_y)


def test_draws_are_of_the_seed_given_and_of_no_other(source):
    tf.random.set_seed(1)
    before = taken(source, 3)
    tf.random.set_seed(2)
    for (x, _), (same, _), (other, _) in zip(
        before, taken(source, 3), taken(source, 3, seed=4), strict=True
    ):
        np.testing.assert_array_equal(x, same)
        assert not np.array_equal(x, other)


def test_clips_of_one_batch_draw_apart():
    long = IndexedClips(np.full(40, 200), np.zeros(40, int), _frames)
    ((clips, _),) = taken(long, 1, batch_size=40)
    assert len(set(clips[:, 0, 0, 0, 1].tolist())) > 25  # of 196 places, 36 expected


def test_the_frames_taken_are_all_that_is_decoded(monkeypatch):
    monkeypatch.setattr(batches, "MEMORY_LIMIT", 0)
    asked = []

    def spy(index, chosen):
        tf.py_function(lambda n: asked.append(int(n)), [tf.size(chosen)], [])
        return _frames(index, chosen)

    taken(IndexedClips(np.full(8, 50), np.zeros(8, int), spy), 1)
    assert set(asked) == {3}


def test_labels_as_shares_and_weights_pass_through(source):
    def augment(batch, seed):
        del seed
        return {**batch, "label": tf.one_hot(batch["label"], 4), "weight": tf.ones(4)}

    made = ClipBatches(source, PREPARATION, SAMPLING, batch_size=4, seed=0, augment=augment)
    _, labels, weight = next(iter(made.starting_at(0)))
    assert (labels.shape, weight.shape) == ((4, 4), (4,))


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_evaluation_is_every_clip_once_in_order(clips, limit, source, monkeypatch):
    monkeypatch.setattr(batches, "MEMORY_LIMIT", limit)
    made = clip_evaluation_batches(source, PREPARATION, SAMPLING, batch_size=5, clips=clips)
    assert made.cardinality() == 3
    shape = (clips, 3, 4, 4, 3)
    assert made.element_spec[0] == tf.TensorSpec((None, *shape), tf.uint8)
    for _ in range(2):
        found = list(made.as_numpy_iterator())
        assert [len(labels) for _, labels in found] == [5, 5, 3]
        shown = np.concatenate([x for x, _ in found])
        np.testing.assert_array_equal(np.concatenate([y for _, y in found]), np.arange(SIZE) % 4)
        for number, (clip, count) in enumerate(zip(shown, COUNTS, strict=True)):
            assert clip.shape == shape
            assert (clip[..., 0] == number).all()
            wanted = SAMPLING.even(count, clips=clips)
            np.testing.assert_array_equal(clip[:, :, 0, 0, 1], wanted)


def test_validation_is_one_window_and_shares_of_the_classes():
    data = Data(train_source=INDEXED, val_source=INDEXED, classes=tuple("abcd"), name="x")
    made = clip_validation_batches(data, PREPARATION, SAMPLING, batch_size=5)
    clips, labels = next(iter(made))
    assert clips.shape == (5, 3, 4, 4, 3)
    np.testing.assert_array_equal(labels, np.eye(4)[[0, 1, 2, 3, 0]])


def test_frames_are_prepared_as_images_are():
    rng = np.random.default_rng(0)
    frames = tf.constant(rng.integers(0, 256, (5, 13, 9, 3), dtype=np.uint8))
    for fit in ("stretch", "letterbox", "crop", "pad"):
        preparation = Preparation(height=7, width=8, fit=fit)
        together = preparation.resize(frames)
        assert together.shape == (5, 7, 8, 3)
        for frame, prepared in zip(frames, together, strict=True):
            np.testing.assert_array_equal(preparation.resize(frame), prepared)


def test_bad_numbers_are_refused():
    with pytest.raises(InputError, match="A batch of 14 is larger than the training set of 13"):
        ClipBatches(INDEXED, PREPARATION, SAMPLING, batch_size=14, seed=0)
    with pytest.raises(ValueError, match=r"`seed` must be in \[0, 2\*\*31\), got -1"):
        ClipBatches(INDEXED, PREPARATION, SAMPLING, batch_size=4, seed=-1)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        clip_evaluation_batches(INDEXED, PREPARATION, SAMPLING, batch_size=0)
    with pytest.raises(ValueError, match="`clips` must be at least 1, got 0"):
        clip_evaluation_batches(INDEXED, PREPARATION, SAMPLING, batch_size=4, clips=0)
