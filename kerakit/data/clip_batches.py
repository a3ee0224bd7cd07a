"""Batches of clips, for training and for evaluation."""

import functools

import numpy as np
import tensorflow as tf

from kerakit.data import batches
from kerakit.data.batches import TrainingBatches, batches_in_order
from kerakit.data.clip_source import IndexedClips, stored_frames
from kerakit.data.labels import class_shares

# Clips of a larger stream that are held at once, to be shuffled.
_BLOCK = 256


class ClipBatches(TrainingBatches):
    """Batches of clips without end, each a function of (seed, step) alone.

    Order and resuming are those of `TrainingBatches` (a stream is shuffled in blocks of 256 clips);
    which frames are taken is drawn for each example, by (seed, its place in the run). Where the
    prepared frames of all clips fit into memory they are kept, else only those taken are decoded.

    Args:
        source: `IndexedClips` or `StreamedClips`: load it with task="video".
        preparation: `Preparation` that gives all frames one size.
        sampling: `FrameSampling`, which gives all clips one length.
        batch_size: Clips a batch, B; at most the size of the source.
        seed: Integer in [0, 2**31).
        augment: None, or a function `augment(batch, seed)` of a dict with `video` uint8
            (B, T, h, w, c), `label` int32 (B,), and an int32 (2,) seed, which gives such a dict:
            those of `kerakit.augment` do the same to all frames of a clip.

    Attributes:
        steps_per_epoch: For `fit`.

    Raises:
        InputError: If the source has fewer clips than a batch.
        ValueError: If `batch_size` or `seed` is out of range.
    """

    def __init__(self, source, preparation, sampling, *, batch_size, seed, augment=None):
        super().__init__(source, preparation, batch_size=batch_size, seed=seed, augment=augment)
        self.sampling = sampling

    def starting_at(self, step):
        """tf.data of (clips uint8 (B, T, h, w, c), labels (B,) or (B, K)) from global step `step`.

        A `weight` that `augment` adds to the batch comes third.
        """
        return super().starting_at(step)

    def _fits_in_memory(self):
        frames = int(self.source.counts.sum())
        prepared = self.preparation
        size = frames * prepared.height * prepared.width * prepared.channels
        return size <= batches.MEMORY_LIMIT

    def _block(self):
        return _BLOCK

    @functools.cached_property
    def _in_memory(self):
        """Frames (F, h, w, c) of all clips, where each clip begins, and labels."""
        source, prepared = self.source, self.preparation
        counts = source.counts
        shape = (prepared.height, prepared.width, prepared.channels)
        frames = np.empty((counts.sum(), *shape), np.uint8)
        labels = np.empty(source.size, np.int32)
        pairs = source.dataset().map(
            lambda clip: (prepared.resize(clip["video"]), clip["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        starts = np.cumsum(counts) - counts
        for number, (video, label) in enumerate(pairs.prefetch(2).as_numpy_iterator()):
            frames[starts[number] : starts[number] + counts[number]] = video
            labels[number] = label
        with tf.device("CPU:0"):
            return tf.constant(frames), tf.constant(starts), tf.constant(labels)

    def _from_memory(self, first_step):
        frames, starts, labels = self._in_memory
        counts = tf.constant(self.source.counts)

        def batch(step):
            clips = self._order(step)

            def rows(drawn):
                position, clip = drawn
                return starts[clip] + tf.cast(self._drawn(position, counts[clip]), tf.int64)

            positions = step * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
            spec = tf.TensorSpec((self.sampling.frames,), tf.int64)
            chosen = tf.map_fn(rows, (positions, clips), fn_output_signature=spec)
            chosen = tf.ensure_shape(chosen, (self.batch_size, self.sampling.frames))
            return {"video": tf.gather(frames, chosen), "label": tf.gather(labels, clips)}

        return tf.data.Dataset.counter(first_step).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _drawn(self, position, count):
        # 2: apart from the draws of the order and of the augmentation.
        key = tf.random.experimental.stateless_fold_in((self.seed, 2), position)
        return self.sampling.random(count, key)

    def _read(self, position, index):
        told, count = self.source.told(index)
        frames = self.source.frames(index, self._drawn(position, count))
        return self._example(frames, told["label"])

    def _read_stored(self, position, stored):
        encoded = stored_frames(stored["stored"])
        chosen = self._drawn(position, tf.size(encoded))
        return self._example(self.source.decoded(tf.gather(encoded, chosen)), stored["label"])

    def _example(self, frames, label):
        prepared = self.preparation.resize(frames)
        shape = (self.sampling.frames, *prepared.shape[1:])
        return {"video": tf.ensure_shape(prepared, shape), "label": label}


def clip_evaluation_batches(source, preparation, sampling, *, batch_size, clips=1):
    """Batches of all clips once, in order, each looked at `clips` times; the last may be short.

    Args:
        source: `IndexedClips` or `StreamedClips`.
        preparation: `Preparation` that gives all frames one size.
        sampling: `FrameSampling`, which gives all clips one length.
        batch_size: Clips of the source a batch, B.
        clips: How many windows of each are looked at; see `FrameSampling.even`.

    Returns:
        tf.data of (uint8 (B, clips, T, h, w, c), labels int32 (B,)).

    Raises:
        ValueError: If `batch_size` or `clips` is not positive.
    """
    shape = (clips, sampling.frames, preparation.height, preparation.width, preparation.channels)

    def pair(frames, label):
        return tf.reshape(preparation.resize(frames), shape), label

    def indexed(index):
        told, count = source.told(index)
        chosen = tf.reshape(sampling.even(count, clips=clips), [-1])
        return pair(source.frames(index, chosen), told["label"])

    def streamed(clip):
        chosen = tf.reshape(sampling.even(tf.size(clip["frames"]), clips=clips), [-1])
        return pair(source.decoded(tf.gather(clip["frames"], chosen)), clip["label"])

    if isinstance(source, IndexedClips):
        examples, read = tf.data.Dataset.range(source.size), indexed
    else:
        examples, read = source.encoded_dataset(), streamed
    pairs = examples.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return batches_in_order(pairs, source.size, batch_size=batch_size)


def clip_validation_batches(data, preparation, sampling, *, batch_size):
    """The batches of all clips held out, a window each, with labels as shares of the classes.

    Args:
        data: `Data`.
        preparation: `Preparation` that gives all frames one size.
        sampling: `FrameSampling`, which gives all clips one length.
        batch_size: Clips a batch, B.

    Returns:
        tf.data of (clips uint8 (B, T, h, w, c), labels float32 (B, K)).
    """
    made = clip_evaluation_batches(data.val_source, preparation, sampling, batch_size=batch_size)
    return made.map(lambda clips, labels: (clips[:, 0], class_shares(labels, len(data.classes))))
