"""Examples as pairs: the prepared picture, and what is told of it."""

import numpy as np
import tensorflow as tf

from kerakit.data.decode import decode_mask
from kerakit.data.untuned import untuned


def prepared_pairs(source, preparation, label):
    """All examples of a source, in order, as pairs.

    Args:
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` that gives all images one size.
        label: Key of the examples.

    Returns:
        tf.data of (image uint8 (h, w, c), what `label` names).
    """

    def pair(example):
        return preparation.resize(example["image"]), told(example, label, preparation)

    return source.dataset().map(pair, num_parallel_calls=tf.data.AUTOTUNE)


def told(example, label, preparation):
    """What `label` names of an example; a mask lies in the picture and is prepared with it."""
    if label != "mask":
        return example[label]
    if "encoded_mask" in example:
        return preparation.resize_mask(decode_mask(example["encoded_mask"]))
    return preparation.resize_mask(example["mask"])


def held_pairs(pairs, size):
    """All pairs of a dataset, as two tensors.

    Args:
        pairs: tf.data of (pictures uint8, value), of known shape.
        size: How many pairs there are.

    Returns:
        Tensors (size, ...) of the pictures and of the values.
    """
    of_pictures, of_values = pairs.element_spec
    pictures = np.empty((size, *of_pictures.shape), np.uint8)
    values = np.empty((size, *of_values.shape), of_values.dtype.as_numpy_dtype)
    start = 0
    for some_pictures, some_values in untuned(pairs).batch(256).prefetch(1).as_numpy_iterator():
        end = start + len(some_values)
        pictures[start:end], values[start:end] = some_pictures, some_values
        start = end
    with tf.device("CPU:0"):
        return tf.constant(pictures), tf.constant(values)
