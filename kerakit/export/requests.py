"""What an export is sent: files of images, or the frames of clips; or either, prepared."""

import dataclasses

import numpy as np
import tensorflow as tf

from kerakit.data import FrameSampling, Preparation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """A batch of images.

    Args:
        preparation: The `Preparation` of the model's images.
    """

    preparation: Preparation
    encoded = "image_bytes"
    pixels = "images"
    one = "image"

    @property
    def shape(self):
        """Shape of one prepared example."""
        return (self.preparation.height, self.preparation.width, self.preparation.channels)

    def specs(self):
        """`tf.TensorSpec` of the input of each signature."""
        return {
            "serving_default": tf.TensorSpec((None,), tf.string, name=self.encoded),
            "tensors": tf.TensorSpec((None, *self.shape), tf.uint8, name=self.pixels),
        }

    def check(self, examples):
        """Refuses encoded examples that are none; an image can be any bytes."""

    def prepare(self, encoded):
        """Strings (B,) to prepared pixels and the geometry, as `Preparation.framed_batch`."""
        return self.preparation.framed_batch(encoded)

    def prepared(self, pixels):
        """What the signature `tensors` is sent, if it can be."""
        return pixels

    def example(self):
        """One small request for each signature."""
        return {
            "serving_default": {self.encoded: [_grey_file()]},
            "tensors": {self.pixels: np.full((1, *self.shape), 127, np.uint8)},
        }

    def described(self):
        """Dtype, shape and unit of the input of each signature."""
        return self._described([None], "a JPEG, PNG, GIF or BMP file each")

    def _described(self, shape, unit):
        encoded = {"dtype": "string", "shape": shape, "unit": unit}
        pixels = {
            "dtype": "uint8",
            "shape": [None, *self.shape],
            "unit": "prepared pixels, 0 to 255",
        }
        return {"serving_default": {self.encoded: encoded}, "tensors": {self.pixels: pixels}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips(Images):
    """A batch of clips, whose frames the client has cut.

    Args:
        preparation: The `Preparation` of their frames.
        sampling: The `FrameSampling` by which a client takes frames from a video.
        frame_rate: Frames a second to which it puts the video before; None for its own.
    """

    sampling: FrameSampling
    frame_rate: float | None = None
    encoded = "frames"
    pixels = "videos"
    one = "clip"

    @property
    def shape(self):
        return (self.sampling.frames, *super().shape)

    def specs(self):
        # Of any number of frames, so that another one than the model's is told in a sentence.
        return {
            "serving_default": tf.TensorSpec((None, None), tf.string, name=self.encoded),
            "tensors": tf.TensorSpec((None, None, *self.shape[1:]), tf.uint8, name=self.pixels),
        }

    def check(self, examples):
        for number, frames in enumerate(examples):
            if isinstance(frames, bytes) or len(frames) != self.sampling.frames:
                given = "bytes" if isinstance(frames, bytes) else f"{len(frames)} frames"
                raise ValueError(
                    f"Each clip must be a list of {self.sampling.frames} encoded frames, got "
                    f"{given} for clip {number}."
                )

    def prepare(self, encoded):
        """Strings (B, T) to prepared pixels (B, T, height, width, channels), alone."""
        count, wanted = tf.shape(encoded)[0], self.sampling.frames
        encoded = tf.reshape(self._of_length(encoded, self.encoded), [-1])
        numbers = tf.range(tf.size(encoded))
        frame, clip = (tf.strings.as_string(part) for part in (numbers % wanted, numbers // wanted))
        names = tf.strings.join(["Frame ", frame, " of clip ", clip, " (both counted from 0)"])
        frames, *_ = self.preparation.framed_batch(encoded, names=names)
        return (tf.reshape(frames, (count, *self.shape)),)

    def prepared(self, pixels):
        # A model may take clips of any length, and none would say that it was made for another.
        return tf.ensure_shape(self._of_length(pixels, self.pixels), (None, *self.shape))

    def _of_length(self, batch, name):
        wanted, given = self.sampling.frames, tf.shape(batch)[1]
        message = tf.strings.join(
            [f"`{name}` must hold {wanted} frames a clip, got ", tf.strings.as_string(given), "."]
        )
        with tf.control_dependencies([tf.debugging.Assert(given == wanted, [message])]):
            return tf.identity(batch)

    def example(self):
        files = {self.encoded: [[_grey_file()] * self.sampling.frames]}
        return {**super().example(), "serving_default": files}

    def described(self):
        return self._described([None, self.sampling.frames], "the files of a clip's frames each")


def requests(task, preparation, sampling=None, frame_rate=None):
    """What an export for a task is sent.

    Args:
        task: Name of the task.
        preparation: `Preparation`, or its settings.
        sampling: `FrameSampling` of the task "video", or its settings.
        frame_rate: Frames a second of the videos of that task, or None.

    Returns:
        `Images` or `Clips`.

    Raises:
        ValueError: If there is no sampling for video, or one or a rate for another task.
    """
    if isinstance(preparation, dict):
        preparation = Preparation.from_dict(preparation)
    if (task == "video") != (sampling is not None):
        raise ValueError(
            f"`sampling` must be a FrameSampling for video, and None otherwise, got {sampling} "
            f"for {task}."
        )
    if frame_rate is not None and (task != "video" or not frame_rate > 0):
        raise ValueError(
            f"`frame_rate` must be positive, and for video, got {frame_rate} for {task}."
        )
    if sampling is None:
        return Images(preparation=preparation)
    if isinstance(sampling, dict):
        sampling = FrameSampling.from_dict(sampling)
    return Clips(preparation=preparation, sampling=sampling, frame_rate=frame_rate)


def asked_by(card):
    """What the export of a `card.json` is sent."""
    given = (card.get(key) for key in ("preparation", "sampling", "frame_rate"))
    return requests(card["task"], *given)


def _grey_file():
    return tf.io.encode_jpeg(np.full((8, 8, 3), 127, np.uint8)).numpy()
