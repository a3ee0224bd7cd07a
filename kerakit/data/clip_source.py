"""Where clips come from: by index, or one after the other."""

import numpy as np
import tensorflow as tf

from kerakit.data.decode import decode
from kerakit.data.source import IndexedSource, StreamSource

# Encoded frames of a set up to this size are held in memory, so that any clip can be read next.
HELD_LIMIT = 1 << 30


class IndexedClips(IndexedSource):
    """Clips that can be read in any order.

    Args:
        counts: (N,) how many frames each of the N clips has.
        labels: (N,) integer classes.
        frames: Function, traced into the graph, of a scalar int64 index in [0, N) and an int32
            (T,) of frames of that clip; gives their pictures, uint8 (T, H, W, 3).
        encoded: None, or the same function of the files, strings (T,), each an image. Without
            it, frames are encoded as PNG, which loses nothing.

    Attributes:
        size: N.
        counts: As given, int64.
    """

    def __init__(self, counts, labels, frames, *, encoded=None):
        self.counts = np.asarray(counts, np.int64)
        self.frames = frames
        self._labels = np.asarray(labels, np.int32)
        self._encoded = encoded
        self._in_graph = tf.constant(self.counts), tf.constant(self._labels)
        super().__init__(len(self.counts), self._clip, record=self._encoded_clip)

    def told(self, index):
        """Dict of `label` and `example_id`, and the number of frames, of a clip."""
        counts, labels = self._in_graph
        return {"label": labels[index], "example_id": tf.cast(index, tf.int32)}, counts[index]

    def _clip(self, index):
        told, count = self.told(index)
        return {"video": self.frames(index, tf.range(tf.cast(count, tf.int32))), **told}

    def _encoded_clip(self, index):
        told, count = self.told(index)
        every = tf.range(tf.cast(count, tf.int32))
        if self._encoded is None:
            frames = tf.map_fn(
                tf.io.encode_png, self.frames(index, every), fn_output_signature=tf.string
            )
        else:
            frames = self._encoded(index, every)
        return {"frames": frames, **told}

    def first(self, count):
        """The source of the first `count` clips alone."""
        return IndexedClips(
            self.counts[:count], self._labels[:count], self.frames, encoded=self._encoded
        )


class StreamedClips(StreamSource):
    """Clips that can be read only from first to last.

    Args:
        counts: (N,) how many frames each of the N clips has.
        dataset: tf.data of dicts with `frames` (strings (T,), an image each), `label` int32 and
            `example_id` int32; the same order at each pass.
        decode_frame: Function of the bytes of a frame to uint8 (H, W, 3).

    Attributes:
        size: N.
        counts: As given, int64.
    """

    def __init__(self, counts, dataset, *, decode_frame=decode):
        self.counts = np.asarray(counts, np.int64)
        self._decode_frame = decode_frame
        super().__init__(len(self.counts), dataset)

    def first(self, count):
        """The source of the first `count` clips alone."""
        some = self._dataset.take(min(count, self.size))
        return StreamedClips(self.counts[:count], some, decode_frame=self._decode_frame)

    def decoded(self, encoded):
        """Strings (T,), frames of a clip, to uint8 (T, H, W, 3)."""
        return decode_frames(encoded, self._decode_frame)

    def dataset(self):
        """tf.data of the clips, in order, decoded: as `IndexedClips.dataset`."""

        def decoded(clip):
            clip = dict(clip)
            return {"video": self.decoded(clip.pop("frames")), **clip}

        return self._dataset.map(decoded, num_parallel_calls=tf.data.AUTOTUNE)

    def stored_dataset(self):
        """tf.data of the clips, the frames of each in one string: see `stored_frames`."""

        def packed(clip):
            clip = dict(clip)
            return {"stored": tf.io.serialize_tensor(clip.pop("frames")), **clip}

        return self._dataset.map(packed, num_parallel_calls=tf.data.AUTOTUNE)


def stored_frames(stored):
    """The frames, strings (T,), that a clip of `StreamedClips.stored_dataset` has."""
    return tf.ensure_shape(tf.io.parse_tensor(stored, tf.string), (None,))


def decode_frames(encoded, decode_frame=decode):
    """Decodes the frames of a clip, images of one size.

    Args:
        encoded: Strings (T,), each a JPEG, PNG, GIF or BMP.
        decode_frame: Function of the bytes of one to uint8 (H, W, 3).

    Returns:
        uint8 (T, H, W, 3).

    Example:

    >>> frame = tf.io.encode_png(tf.zeros((4, 5, 3), tf.uint8))
    >>> decode_frames(tf.stack([frame, frame])).shape
    TensorShape([2, 4, 5, 3])
    """
    spec = tf.TensorSpec((None, None, 3), tf.uint8)
    return tf.map_fn(decode_frame, encoded, fn_output_signature=spec)


def decode_upright_jpeg(encoded):
    """As `decode` for a JPEG without EXIF, six times as fast on small frames."""
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def held_clips(frames, starts, counts, labels, *, decode_frame=decode):
    """Source of clips whose encoded frames are held in memory.

    Args:
        frames: Strings (F,), frames of all clips.
        starts: (N,) the first frame of each clip.
        counts: (N,) how many each clip has.
        labels: (N,) integer classes.
        decode_frame: Function of the bytes of a frame to uint8 (H, W, 3).

    Returns:
        `IndexedClips`.

    Example:

    >>> frame = tf.io.encode_png(tf.zeros((4, 5, 3), tf.uint8)).numpy()
    >>> source = held_clips([frame] * 5, [0, 2], [2, 3], [0, 1])
    >>> [clip["video"].shape[0] for clip in source.dataset()]
    [2, 3]
    """
    starts = tf.constant(starts, tf.int64)
    with tf.device("CPU:0"):
        frames = tf.convert_to_tensor(frames, tf.string)

    def encoded(index, chosen):
        return tf.gather(frames, starts[index] + tf.cast(chosen, tf.int64))

    return IndexedClips(
        counts,
        labels,
        lambda index, chosen: decode_frames(encoded(index, chosen), decode_frame),
        encoded=encoded,
    )


def clips_of(dataset):
    """Source of the clips of a dataset, which is read once: held in memory if they fit.

    Args:
        dataset: As of `StreamedClips`.

    Returns:
        `IndexedClips` or `StreamedClips`.
    """
    frames, counts, labels, size = [], [], [], 0
    for clip in dataset.prefetch(2).as_numpy_iterator():
        counts.append(len(clip["frames"]))
        labels.append(clip["label"])
        size += sum(map(len, clip["frames"]))
        if size <= HELD_LIMIT:
            frames.extend(clip["frames"])
        else:
            frames.clear()
    if size <= HELD_LIMIT:
        return held_clips(frames, np.cumsum(counts) - counts, counts, labels)
    return StreamedClips(counts, dataset)
