"""Batches for training, each a function of (seed, step) alone, and for evaluation."""

import functools

import tensorflow as tf

from kerakit.data.labels import class_shares
from kerakit.data.prepared_pairs import held_pairs, prepared_pairs, told
from kerakit.data.source import IndexedSource
from kerakit.data.untuned import untuned
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
        if self._fits_in_memory():
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
        keys = ("image", "video", "label", "weight")
        return tuple(batch[key] for key in keys if key in batch)

    def _order(self, step):
        """Indices (B,) of the examples of a global step."""
        epoch, step_in_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
        positions = step_in_epoch * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        return tf.random.experimental.index_shuffle(
            positions,
            seed=tf.stack([tf.constant(self.seed, tf.int64), epoch]),
            max_index=self.source.size - 1,
        )

    def _fits_in_memory(self):
        return _fits_in_memory(self.source, self.preparation)

    @functools.cached_property
    def _in_memory(self):
        pairs = prepared_pairs(self.source, self.preparation, self._label)
        return held_pairs(pairs, self.source.size)

    def _from_memory(self, first_step):
        images, labels = self._in_memory

        def batch(step):
            chosen = self._order(step)
            return {"image": tf.gather(images, chosen), self._label: tf.gather(labels, chosen)}

        return tf.data.Dataset.counter(first_step).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _from_index(self, first_step):
        indices = tf.data.Dataset.counter(first_step).map(self._order).unbatch()
        return self._batched(first_step, indices, self._read)

    def _batched(self, first_step, examples, read):
        """Batches of what `read(position, example)` gives, in order, read in parallel."""
        positions = tf.data.Dataset.counter(first_step * self.batch_size)
        examples = tf.data.Dataset.zip(positions, examples)
        examples = examples.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(self.batch_size, drop_remainder=True)

    def _read(self, position, index):
        """One example; `position` counts all those since step 0, for draws of its own."""
        del position
        example = self.source.example(index)
        image = self.preparation.resize(example["image"])
        return {"image": image, self._label: told(example, self._label, self.preparation)}

    def _read_stored(self, position, stored):
        """The same from an element of the source's `stored_dataset`."""
        del position
        image = self.preparation(stored["encoded"])
        return {"image": image, self._label: told(stored, self._label, self.preparation)}

    def _block(self):
        """Examples of a stream that are held at once."""
        return _BLOCK

    def _from_stream(self, first_step):
        files, size = self.source.stored_dataset(), self._block()

        def epoch_of_files(epoch):
            # Not `Dataset.shuffle`: it mixes TensorFlow's global seed into the one it is given.
            key = tf.random.experimental.stateless_fold_in((self.seed, 0), epoch)

            def is_in(position, _):
                # Chosen over the whole set: cutting off the end would ever leave out the last.
                place = tf.random.experimental.index_shuffle(position, key, self.source.size - 1)
                return place < self.steps_per_epoch * self.batch_size

            chosen = files.enumerate().filter(is_in).map(lambda _, record: record)
            first = tf.random.stateless_uniform((), key, 1, size + 1, tf.int64)
            blocks = chosen.take(first).batch(size).concatenate(chosen.skip(first).batch(size))

            def shuffled(number, block):
                order = tf.random.experimental.stateless_shuffle(
                    tf.range(tf.size(block["example_id"])),
                    tf.random.experimental.stateless_fold_in(key, number),
                )
                return tf.data.Dataset.from_tensor_slices(
                    {name: tf.gather(values, order) for name, values in block.items()}
                )

            return blocks.enumerate().flat_map(shuffled)

        epochs = tf.data.Dataset.counter(first_step // self.steps_per_epoch)
        in_order = epochs.flat_map(epoch_of_files)
        in_order = in_order.skip(first_step % self.steps_per_epoch * self.batch_size)
        return self._batched(first_step, in_order, self._read_stored)


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
    pairs = prepared_pairs(source, preparation, label)
    return batches_in_order(pairs, source.size, batch_size=batch_size)


def batches_in_order(pairs, size, *, batch_size):
    """Batches of pairs, in order; pairs that fit into memory are made once and kept.

    Args:
        pairs: tf.data of (pictures uint8, value), of known shape.
        size: How many pairs there are.
        batch_size: Pairs a batch.

    Returns:
        tf.data of batches, the last of which may be short.

    Raises:
        ValueError: If `batch_size` is not positive.
    """
    _check_batch_size(batch_size)
    if size * pairs.element_spec[0].shape.num_elements() > MEMORY_LIMIT:
        pairs = pairs.apply(tf.data.experimental.assert_cardinality(size))
        return untuned(pairs.batch(batch_size).prefetch(tf.data.AUTOTUNE))
    pictures, values = held_pairs(pairs, size)
    starts = tf.data.Dataset.range(0, size, batch_size)
    dataset = starts.map(
        lambda start: (pictures[start : start + batch_size], values[start : start + batch_size]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return untuned(dataset.prefetch(tf.data.AUTOTUNE))


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
