"""Which frames are taken, against loops that say it in words."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import FrameSampling

COUNTS = (1, 2, 5, 7, 8, 16, 31)


def windows(count, *, frames, stride, clips):
    """Starts spread evenly from the first window that fits to the last; short clips repeat."""
    last = max(count - ((frames - 1) * stride + 1), 0)
    found = []
    for clip in range(clips):
        start = last // 2 if clips == 1 else clip * last // (clips - 1)
        found.append([min(start + place * stride, count - 1) for place in range(frames)])
    return found


def segments(count, *, frames, clips):
    """A frame in each of the equal parts of the clip, at the middle of one of `clips` pieces."""
    length = count / frames
    return [
        [int((part + (clip + 0.5) / clips) * length + 1e-6) for part in range(frames)]
        for clip in range(clips)
    ]


@pytest.mark.parametrize("clips", [1, 2, 10])
@pytest.mark.parametrize(("frames", "stride"), [(1, 1), (4, 2), (3, 5)])
def test_even_windows_are_the_loops(clips, frames, stride):
    for count in COUNTS:
        chosen = FrameSampling(frames=frames, stride=stride).even(count, clips=clips)
        assert chosen.dtype == tf.int32
        assert chosen.numpy().tolist() == windows(count, frames=frames, stride=stride, clips=clips)


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("frames", [1, 4, 8])
def test_even_segments_are_the_loops(clips, frames):
    for count in COUNTS:
        chosen = FrameSampling(frames=frames, mode="uniform").even(count, clips=clips)
        assert chosen.numpy().tolist() == segments(count, frames=frames, clips=clips)


def many(sampling, count, times=3000):
    seeds = tf.stack([tf.fill((times,), 7), tf.range(times)], axis=1)
    draw = tf.function(lambda: tf.map_fn(lambda seed: sampling.random(count, seed), seeds))
    return draw().numpy()


def test_a_random_window_starts_anywhere_as_likely():
    drawn = many(FrameSampling(frames=4, stride=2), 11)
    np.testing.assert_array_equal(np.diff(drawn, axis=1), 2)
    starts = np.bincount(drawn[:, 0])
    assert len(starts) == 5  # 0 to 4, since the window has 7 frames
    # Chi squared of 4 degrees of freedom: 18.5 in one of a thousand seeds.
    assert ((starts - 600) ** 2 / 600).sum() < 18.5


def test_random_segments_take_every_frame_of_their_part_as_likely():
    drawn = many(FrameSampling(frames=3, mode="uniform"), 12)
    for part in range(3):
        found = np.bincount(drawn[:, part], minlength=12)
        assert set(np.flatnonzero(found)) == set(range(4 * part, 4 * part + 4))
        assert ((found[found > 0] - 750) ** 2 / 750).sum() < 16.3  # three degrees of freedom
    # The parts draw apart.
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.1


@pytest.mark.parametrize("mode", ["dense", "uniform"])
def test_a_draw_is_a_function_of_the_seed(mode):
    sampling = FrameSampling(frames=4, mode=mode)
    first, same, other = (sampling.random(40, tf.constant([5, s])).numpy() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_clip_shorter_than_the_window_ends_on_its_last_frame():
    sampling = FrameSampling(frames=5, stride=2)
    for chosen in (sampling.random(6, tf.constant([0, 1])), sampling.even(6)[0]):
        assert chosen.numpy().tolist() == [0, 2, 4, 5, 5]
    assert sampling.random(1, tf.constant([0, 1])).numpy().tolist() == [0] * 5
    stretched = FrameSampling(frames=4, mode="uniform").even(2)[0]
    assert stretched.numpy().tolist() == [0, 0, 1, 1]


def test_shapes_are_static_in_a_graph():
    sampling = FrameSampling(frames=4, stride=2)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64)])
    def chosen(count):
        random, even = sampling.random(count, tf.constant([0, 1])), sampling.even(count, clips=3)
        assert random.shape == (4,)
        assert even.shape == (3, 4)
        return even

    assert chosen(11).numpy().tolist() == windows(11, frames=4, stride=2, clips=3)


def test_settings_round_trip():
    sampling = FrameSampling(frames=4, mode="uniform")
    assert sampling.to_dict() == {"frames": 4, "stride": 1, "mode": "uniform"}
    assert FrameSampling.from_dict(sampling.to_dict()) == sampling


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "`frames` must be a positive integer, got 0."),
        ({"frames": True}, "`frames` must be a positive integer, got True."),
        ({"frames": 4, "stride": 1.5}, "`stride` must be a positive integer, got 1.5."),
        ({"frames": 4, "mode": "all"}, "`mode` must be one of dense, uniform, got 'all'."),
        ({"frames": 4, "stride": 2, "mode": "uniform"}, '`stride` is for "dense", got 2 with'),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FrameSampling(**settings)
    with pytest.raises(ValueError, match="`clips` must be at least 1, got 0"):
        FrameSampling(frames=4).even(9, clips=0)
