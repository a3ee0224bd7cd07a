"""Which frames of a clip a model sees."""

import dataclasses

import tensorflow as tf

MODES = ("dense", "uniform")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameSampling:
    """From a clip of any length to the T frames that a model takes.

    "dense" takes frames that lie `stride` apart, a window of `(T - 1) stride + 1` frames: in
    training at a random start, in evaluation in the middle, or several windows spread evenly
    over the clip. "uniform" cuts the whole clip into T equal segments and takes a frame of each:
    in training at random, in evaluation the middle one. Where a clip is too short, "dense"
    takes its last frame again and again, and "uniform" repeats frames evenly.

    Args:
        frames: T, frames that the model takes; positive.
        stride: Step from one frame to the next, in frames, for "dense"; positive.
        mode: "dense" or "uniform".

    Raises:
        ValueError: If an argument is none of these.

    Reference:
        Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, 2015,
        Section 3.3 (windows). Wang et al., Temporal Segment Networks, 2016, Section 3.1
        (segments). Deviations: none.

    Example:

    >>> sampling = FrameSampling(frames=4, stride=2)
    >>> sampling.even(11, clips=3).numpy().tolist()
    [[0, 2, 4, 6], [2, 4, 6, 8], [4, 6, 8, 10]]
    """

    frames: int
    stride: int = 1
    mode: str = "dense"

    def __post_init__(self):
        for name in ("frames", "stride"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer, got {value!r}.")
        if self.mode not in MODES:
            raise ValueError(f"`mode` must be one of {', '.join(MODES)}, got {self.mode!r}.")
        if self.mode == "uniform" and self.stride != 1:
            raise ValueError(f'`stride` is for "dense", got {self.stride} with "uniform".')

    def random(self, count, seed):
        """The frames of one training example.

        Args:
            count: Scalar integer, frames of the clip, at least 1.
            seed: int32 (2,), of which the draw is a function.

        Returns:
            int32 (T,) indices into the clip.
        """
        if self.mode == "dense":
            starts = tf.maximum(tf.cast(count, tf.int32) - self._window, 0) + 1
            start = tf.random.stateless_uniform((), seed, 0, starts, tf.int32)
            return self._kept(start + self._offsets, count)
        part = tf.random.stateless_uniform((self.frames,), seed)
        return self._segments(part, count)

    def even(self, count, *, clips=1):
        """The frames of one example of evaluation.

        Args:
            count: Scalar integer, frames of the clip, at least 1.
            clips: How many times the clip is looked at: windows that are spread evenly over it,
                or as many places in each segment.

        Returns:
            int32 (clips, T) indices into the clip.
        """
        if clips < 1:
            raise ValueError(f"`clips` must be at least 1, got {clips}.")
        if self.mode == "dense":
            last = tf.maximum(tf.cast(count, tf.int32) - self._window, 0)
            starts = last[None] // 2 if clips == 1 else tf.range(clips) * last // (clips - 1)
            return self._kept(starts[:, None] + self._offsets, count)
        parts = (tf.range(clips, dtype=tf.float32)[:, None] + 0.5) / clips
        return self._segments(tf.repeat(parts, self.frames, axis=1), count)

    @property
    def _window(self):
        return (self.frames - 1) * self.stride + 1

    @property
    def _offsets(self):
        return tf.range(self.frames) * self.stride

    def _segments(self, part, count):
        """The frame at the place `part`, in [0, 1), of each segment."""
        length = tf.cast(count, tf.float32) / self.frames
        places = (tf.range(self.frames, dtype=tf.float32) + part) * length
        return self._kept(tf.cast(tf.floor(places), tf.int32), count)

    def _kept(self, indices, count):
        return tf.minimum(indices, tf.cast(count, tf.int32) - 1)

    def to_dict(self):
        """Settings as a dict of plain values, for `card.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings):
        """The sampling whose `to_dict` gave `settings`."""
        return cls(**settings)
