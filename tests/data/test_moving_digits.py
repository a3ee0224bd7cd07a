import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import load
from kerakit.data.moving_digits import DIRECTIONS, moving_digit

# What it was when figures were measured.
PIXELS_OF_THE_FIRST = 795718


@pytest.fixture(scope="module")
def data():
    return load("moving-digits", task="video")


@pytest.fixture(scope="module")
def clips(data):
    """Videos (N, 8, 32, 32, 3) and labels of the training part."""
    examples = list(data.train.as_numpy_iterator())
    return np.stack([e["video"] for e in examples]), np.array([e["label"] for e in examples])


def places(frames):
    """Circular mean, in pixels, of what stands out from the frame's own noise: (N, 2)."""
    spread = frames.max(axis=-1).astype(float)
    spread = np.maximum(spread - np.quantile(spread, 0.8, axis=(1, 2), keepdims=True), 0)
    turn = np.exp(2j * np.pi * np.arange(32) / 32)
    sums = np.stack([spread.sum(axis=2) @ turn, spread.sum(axis=1) @ turn], axis=1)
    return np.angle(sums) * 32 / (2 * np.pi) % 32


def test_sizes_classes_and_counts(data, clips):
    assert (data.train_source.size, data.val_source.size) == (2000, 400)
    assert data.classes == ("down", "left", "right", "still", "up")
    assert data.task == "video"
    assert clips[0].shape == (2000, 8, 32, 32, 3)
    assert clips[0].dtype == np.uint8
    assert np.bincount(clips[1]).tolist() == [400] * 5
    assert set(data.train_source.counts) == {8}


def test_the_digit_moves_as_its_class_says(clips):
    videos, labels = clips
    found = np.stack([places(videos[:, time]) for time in range(8)], axis=1)
    steps = (np.diff(found, axis=1) + 16) % 32 - 16
    moved = np.median(steps, axis=1)
    for label, (name, (down, right)) in enumerate(DIRECTIONS.items()):
        along = moved[labels == label]
        if name == "still":
            assert np.abs(along).max() < 0.2
            continue
        speeds = np.rint(along @ [down, right])
        assert set(speeds) == {1, 2, 3}
        across = along @ [right, down]
        assert np.abs(across).max() < 0.5


@pytest.mark.parametrize("time", [0, 4, 7])
def test_in_a_single_frame_the_place_is_uniform_whatever_the_class(time, clips):
    videos, labels = clips
    found = places(videos[:, time])
    for label in range(5):
        for axis in range(2):
            counts = np.histogram(found[labels == label, axis], bins=8, range=(0, 32))[0]
            # Chi squared of 7 degrees of freedom: above 27 in less than one of 3,000.
            assert ((counts - 50) ** 2 / 50).sum() < 27


def test_pictures_are_the_loop():
    rng = np.random.default_rng(0)
    noise, ink = rng.integers(0, 256, (6, 5, 3)), rng.integers(0, 256, (6, 5))
    colour, start, step = rng.integers(0, 256, 3), np.array([4, 2]), np.array([-1, 2])
    shown = moving_digit(
        *(tf.constant(v, tf.int32) for v in (noise, ink, colour, start, step)), tf.range(7)
    )
    for time, frame in enumerate(shown.numpy()):
        share = np.roll(ink, start + time * step, axis=(0, 1))[..., None] / 255
        wanted = noise + share * (colour - noise)
        assert np.abs(frame - wanted).max() <= 0.5 + 1e-9


def test_clips_are_always_the_same_and_parts_differ(data):
    again = load("moving-digits", task="video", seed=5)
    first, same = (next(d.train.as_numpy_iterator())["video"] for d in (data, again))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, next(data.val.as_numpy_iterator())["video"])
    assert int(first.astype(int).sum()) == PIXELS_OF_THE_FIRST


def test_some_frames_are_those_of_all(data):
    source = data.val_source
    chosen = source.frames(tf.constant(7, tf.int64), tf.constant([5, 0, 5]))
    video = source.example(tf.constant(7, tf.int64))["video"].numpy()
    np.testing.assert_array_equal(chosen, video[[5, 0, 5]])
