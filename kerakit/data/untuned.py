"""Datasets that end when they are told to."""

import tensorflow as tf


def untuned(dataset):
    """The same dataset without tf.data's tuning of itself in the background.

    The thread that tunes sleeps twice as long each time, up to a minute, and misses its call to
    end when that comes while it sleeps: whoever deletes the iterator, as `fit`, `evaluate` and
    `predict` do at their end, waits until it wakes. What is left to tune is little:
    `tf.data.AUTOTUNE` takes as many calls at once as there are cores, and as many batches ahead as
    were missed.

    Args:
        dataset: tf.data; what is made of it is untuned, too.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
