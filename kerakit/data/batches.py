"""Batches for training, each a function of (seed, step) alone, and for evaluation."""

import dataclasses

import numpy as np
import tensorflow as tf

from kerakit.data.source import IndexedSource
from kerakit.errors import InputError

# Prepared images of a set up to this size are kept in memory, as one array.
MEMORY_LIMIT = 1 << 30
_SHUFFLE_BUFFER = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batches:
    """Batches without end, and how many of them are an epoch.

    Attributes:
        dataset: tf.data of (images uint8 (B, h, w, c), labels int32 (B,)).
        steps_per_epoch: For `fit`; the examples left over sit an epoch out, others each time.
    """

    dataset: tf.data.Dataset
    steps_per_epoch: int


def training_batches(source, preparation, *, batch_size, seed, first_step=0, augment=None):
    """Batches in an order that is shuffled anew each epoch, from any step on.

    The batch of global step s is a function of (`seed`, s) alone: a run that is resumed at step
    s with `first_step=s` sees what it would have seen. For an `IndexedSource` the order of epoch
    e is a permutation keyed by (`seed`, e), of which each step reads its own piece, so that
    starting late costs nothing. A `StreamSource` too large for memory is shuffled through a
    buffer of 4,096 files, keyed likewise, and a late start reads past what came before.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B; at most the size of the source.
        seed: Integer in [0, 2**31).
        first_step: Global step of the first batch.
        augment: None, or a function `augment(batch, seed)` of a dict with `image`
            uint8 (B, h, w, c) and an int32 (2,) seed, which gives such a dict and draws only
            from the seed.

    Returns:
        `Batches`.

    Raises:
        InputError: If the source has fewer examples than a batch.
        ValueError: If `batch_size`, `seed` or `first_step` is out of range.
    """
    _check_batch_size(batch_size)
    if not 0 <= seed < 2**31:
        raise ValueError(f"`seed` must be in [0, 2**31), got {seed}.")
    if first_step < 0:
        raise ValueError(f"`first_step` must be at least 0, got {first_step}.")
    steps = source.size // batch_size
    if steps == 0:
        raise InputError(
            f"A batch of {batch_size} is larger than the training set of {source.size} examples: "
            f"give a batch size of at most {source.size}."
        )

    if _fits_in_memory(source, preparation):
        dataset = _from_memory(source, preparation, batch_size, seed, first_step)
    elif isinstance(source, IndexedSource):
        dataset = _from_index(source, preparation, batch_size, seed, first_step)
    else:
        dataset = _from_stream(source, preparation, batch_size, seed, first_step)

    def finish(step, batch):
        if augment is not None:
            # 1: apart from the draws of the order, which are keyed by (seed, epoch).
            key = tf.random.experimental.stateless_fold_in((seed, 1), step)
            batch = augment(batch, key)
        return batch["image"], batch["label"]

    dataset = tf.data.Dataset.zip(tf.data.Dataset.counter(first_step), dataset)
    dataset = dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    return Batches(dataset=dataset.prefetch(tf.data.AUTOTUNE), steps_per_epoch=steps)


def evaluation_batches(source, preparation, *, batch_size):
    """Batches of all examples once, in order; the last one may be short.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        batch_size: Examples a batch, B.

    Returns:
        tf.data of (images uint8 (B, h, w, c), labels int32 (B,)).

    Raises:
        ValueError: If `batch_size` is not positive.
    """
    _check_batch_size(batch_size)
    if not _fits_in_memory(source, preparation):
        dataset = source.dataset().map(
            lambda example: (preparation.resize(example["image"]), example["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(source.size))
        return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    images, labels = _prepared(source, preparation)
    starts = tf.data.Dataset.range(0, source.size, batch_size)
    dataset = starts.map(
        lambda start: (images[start : start + batch_size], labels[start : start + batch_size]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def _check_batch_size(batch_size):
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")


def _fits_in_memory(source, preparation):
    size = source.size * preparation.height * preparation.width * preparation.channels
    return size <= MEMORY_LIMIT


def _prepared(source, preparation):
    """All images of a source, prepared, and their labels, as two tensors."""
    shape = (source.size, preparation.height, preparation.width, preparation.channels)
    images, labels = np.empty(shape, np.uint8), np.empty(source.size, np.int32)
    prepared = source.dataset().map(
        lambda example: (preparation.resize(example["image"]), example["label"]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    start = 0
    for some_images, some_labels in prepared.batch(256).prefetch(1).as_numpy_iterator():
        end = start + len(some_labels)
        images[start:end], labels[start:end] = some_images, some_labels
        start = end
    with tf.device("CPU:0"):
        return tf.constant(images), tf.constant(labels)


def _order(step, *, batch_size, size, seed):
    """Indices (B,) of the examples of a global step."""
    steps = size // batch_size
    epoch, step_in_epoch = step // steps, step % steps
    positions = step_in_epoch * batch_size + tf.range(batch_size, dtype=tf.int64)
    return tf.random.experimental.index_shuffle(
        positions, seed=tf.stack([tf.constant(seed, tf.int64), epoch]), max_index=size - 1
    )


def _from_memory(source, preparation, batch_size, seed, first_step):
    images, labels = _prepared(source, preparation)

    def batch(step):
        chosen = _order(step, batch_size=batch_size, size=source.size, seed=seed)
        return {"image": tf.gather(images, chosen), "label": tf.gather(labels, chosen)}

    return tf.data.Dataset.counter(first_step).map(batch, num_parallel_calls=tf.data.AUTOTUNE)


def _from_index(source, preparation, batch_size, seed, first_step):
    def prepared(index):
        example = source.example(index)
        return {"image": preparation.resize(example["image"]), "label": example["label"]}

    steps = tf.data.Dataset.counter(first_step)
    indices = steps.map(
        lambda step: _order(step, batch_size=batch_size, size=source.size, seed=seed)
    )
    examples = indices.unbatch().map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(batch_size, drop_remainder=True)


def _from_stream(source, preparation, batch_size, seed, first_step):
    steps = source.size // batch_size

    def epoch_of_files(epoch):
        key = tf.cast(tf.random.experimental.stateless_fold_in((seed, 0), epoch), tf.int64)
        # A shuffle takes one number as seed; a pair would be two dimensions of it.
        files = source.encoded_dataset().shuffle(
            _SHUFFLE_BUFFER, seed=key[0], reshuffle_each_iteration=False
        )
        return files.take(steps * batch_size)

    def prepared(example):
        return {"image": preparation(example["encoded"]), "label": example["label"]}

    epochs = tf.data.Dataset.counter(first_step // steps)
    files = epochs.flat_map(epoch_of_files).skip(first_step % steps * batch_size)
    examples = files.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(batch_size, drop_remainder=True)
