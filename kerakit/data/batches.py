"""Batches for training, each a function of (seed, step) alone, and for evaluation."""

import functools

import numpy as np
import tensorflow as tf

from kerakit.data.decode import decode_mask
from kerakit.data.labels import class_shares
from kerakit.data.source import IndexedSource
from kerakit.errors import InputError

# Prepared images of a set up to this size are kept in memory, as one array.
MEMORY_LIMIT = 1 << 30
# Files of a larger stream that are held at once, to be shuffled.
_BLOCK = 4096


class TrainingBatches:
    """Batches without end, in an order that is shuffled anew each epoch, from any step on.

    The batch of global step s is a function of (`seed`, s) alone: a run that is resumed at step
    s by `starting_at(s)` sees what it would have seen. For an `IndexedSource` the order of epoch
    e is a permutation keyed by (`seed`, e), of which each step reads its own piece, so that
    starting late costs nothing. A `StreamSource` too large for memory is shuffled in blocks of
    4,096 files whose borders move each epoch, keyed likewise, and a late start reads past what
    came before.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B; at most the size of the source.
        seed: Integer in [0, 2**31).
        augment: None, or a function `augment(batch, seed)` of a dict with `image`
            uint8 (B, h, w, c) and an int32 (2,) seed, which gives such a dict and draws only
            from the seed.

    Attributes:
        steps_per_epoch: For `fit`; the examples left over sit an epoch out, others each time.

    Raises:
        InputError: If the source has fewer examples than a batch.
        ValueError: If `batch_size` or `seed` is out of range.
    """

    # What of an example goes with its image: all else is looked up by it.
    _label = "label"

    def __init__(self, source, preparation, *, batch_size, seed, augment=None):
        _check_batch_size(batch_size)
        if not 0 <= seed < 2**31:
            raise ValueError(f"`seed` must be in [0, 2**31), got {seed}.")
        self.steps_per_epoch = source.size // batch_size
        if self.steps_per_epoch == 0:
            raise InputError(
                f"A batch of {batch_size} is larger than the training set of {source.size} "
                f"examples: give a batch size of at most {source.size}."
            )
        self.source = source
        self.preparation = preparation
        self.batch_size = batch_size
        self.seed = seed
        self.augment = augment

    def starting_at(self, step):
        """tf.data of (images uint8 (B, h, w, c), labels (B,) or (B, K)) from global step `step` on.

        A `weight` that `augment` adds to the batch comes third.
        """
        if step < 0:
            raise ValueError(f"`step` must be at least 0, got {step}.")
        if _fits_in_memory(self.source, self.preparation):
            dataset = self._from_memory(step)
        elif isinstance(self.source, IndexedSource):
            dataset = self._from_index(step)
        else:
            dataset = self._from_stream(step)
        dataset = tf.data.Dataset.zip(tf.data.Dataset.counter(step), dataset)
        dataset = dataset.map(self._finished, num_parallel_calls=tf.data.AUTOTUNE)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _finished(self, step, batch):
        batch = self._start(batch)
        if self.augment is not None:
            # 1: apart from the draws of the order, which are keyed by (seed, epoch).
            key = tf.random.experimental.stateless_fold_in((self.seed, 1), step)
            batch = self.augment(batch, key)
        return self._finish(batch)

    def _start(self, batch):
        """What is augmented, from the images and what `_label` names."""
        return batch

    def _finish(self, batch):
        """What a model is given, from what was augmented."""
        return tuple(batch[key] for key in ("image", "label", "weight") if key in batch)

    def _order(self, step):
        """Indices (B,) of the examples of a global step."""
        epoch, step_in_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        positions = step_in_epoch * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        return tf.random.experimental.index_shuffle(
            positions,
            seed=tf.stack([tf.constant(self.seed, tf.int64), epoch]),
            max_index=self.source.size - 1,
        )

    @functools.cached_property
    def _in_memory(self):
        return _prepared(self.source, self.preparation, self._label)

    def _from_memory(self, first_step):
        images, labels = self._in_memory

        def batch(step):
            chosen = self._order(step)
            return {"image": tf.gather(images, chosen), self._label: tf.gather(labels, chosen)}

        return tf.data.Dataset.counter(first_step).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _from_index(self, first_step):
        def prepared(index):
            example = self.source.example(index)
            image = self.preparation.resize(example["image"])
            return {"image": image, self._label: _told(example, self._label, self.preparation)}

        indices = tf.data.Dataset.counter(first_step).map(self._order).unbatch()
        examples = indices.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(self.batch_size, drop_remainder=True)

    def _from_stream(self, first_step):
        files = self.source.stored_dataset()

        def epoch_of_files(epoch):
            # Not `Dataset.shuffle`: it mixes TensorFlow's global seed into the one it is given.
            key = tf.random.experimental.stateless_fold_in((self.seed, 0), epoch)

            def is_in(position, _):
                # Chosen over the whole set: cutting off the end would ever leave out the last.
                place = tf.random.experimental.index_shuffle(position, key, self.source.size - 1)
                return place < self.steps_per_epoch * self.batch_size

            chosen = files.enumerate().filter(is_in).map(lambda _, record: record)
            first = tf.random.stateless_uniform((), key, 1, _BLOCK + 1, tf.int64)
            blocks = chosen.take(first).batch(_BLOCK).concatenate(chosen.skip(first).batch(_BLOCK))

            def shuffled(number, block):
                order = tf.random.experimental.stateless_shuffle(
                    tf.range(tf.size(block["example_id"])),
                    tf.random.experimental.stateless_fold_in(key, number),
                )
                return tf.data.Dataset.from_tensor_slices(
                    {name: tf.gather(values, order) for name, values in block.items()}
                )

            return blocks.enumerate().flat_map(shuffled)

        def prepared(example):
            image = self.preparation(example["encoded"])
            return {"image": image, self._label: _told(example, self._label, self.preparation)}

        epochs = tf.data.Dataset.counter(first_step // self.steps_per_epoch)
        in_order = epochs.flat_map(epoch_of_files)
        in_order = in_order.skip(first_step % self.steps_per_epoch * self.batch_size)
        examples = in_order.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(self.batch_size, drop_remainder=True)


def evaluation_batches(source, preparation, *, batch_size):
    """Batches of all examples once, in order; the last one may be short.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B.

    Returns:
        tf.data of (images uint8 (B, h, w, c), labels int32 (B,), or of 0 and 1 (B, K)).

    Raises:
        ValueError: If `batch_size` is not positive.
    """
    return prepared_batches(source, preparation, batch_size=batch_size, label="label")


def prepared_batches(source, preparation, *, batch_size, label):
    """Batches of all examples once, in order: images, prepared, and what `label` names.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B.
        label: Key of the examples.

    Returns:
        tf.data of (images uint8 (B, h, w, c), values (B, ...)).

    Raises:
        ValueError: If `batch_size` is not positive.
    """
    _check_batch_size(batch_size)
    if not _fits_in_memory(source, preparation):
        dataset = source.dataset().map(
            lambda example: _pair(example, label, preparation), num_parallel_calls=tf.data.AUTOTUNE
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(source.size))
        return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    images, labels = _prepared(source, preparation, label)
    starts = tf.data.Dataset.range(0, source.size, batch_size)
    dataset = starts.map(
        lambda start: (images[start : start + batch_size], labels[start : start + batch_size]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def validation_batches(data, preparation, *, batch_size):
    """The batches of all examples held out, with labels as shares of the classes.

    Args:
        data: `Data`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B.

    Returns:
        tf.data of (images uint8 (B, h, w, c), labels float32 (B, K)).
    """
    batches = evaluation_batches(data.val_source, preparation, batch_size=batch_size)
    return batches.map(lambda images, labels: (images, class_shares(labels, len(data.classes))))


def _check_batch_size(batch_size):
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")


def _fits_in_memory(source, preparation):
    size = source.size * preparation.height * preparation.width * preparation.channels
    return size <= MEMORY_LIMIT


def _pair(example, label, preparation):
    return preparation.resize(example["image"]), _told(example, label, preparation)


def _told(example, label, preparation):
    """What `label` names of an example; a mask lies in the picture and is prepared with it."""
    if label != "mask":
        return example[label]
    if "encoded_mask" in example:
        return preparation.resize_mask(decode_mask(example["encoded_mask"]))
    return preparation.resize_mask(example["mask"])


def _prepared(source, preparation, label):
    """All images of a source, prepared, and what `label` names of each, as two tensors."""
    shape = (source.size, preparation.height, preparation.width, preparation.channels)
    prepared = source.dataset().map(
        lambda example: _pair(example, label, preparation), num_parallel_calls=tf.data.AUTOTUNE
    )
    spec = prepared.element_spec[1]
    images = np.empty(shape, np.uint8)
    labels = np.empty((source.size, *spec.shape), spec.dtype.as_numpy_dtype)
    start = 0
    for some_images, some_labels in prepared.batch(256).prefetch(1).as_numpy_iterator():
        end = start + len(some_labels)
        images[start:end], labels[start:end] = some_images, some_labels
        start = end
    with tf.device("CPU:0"):
        return tf.constant(images), tf.constant(labels)
