import os
import time

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data.untuned import untuned


def test_what_is_made_of_an_untuned_dataset_is_untuned():
    numbers = untuned(tf.data.Dataset.range(5))
    made = tf.data.Dataset.zip(numbers.map(lambda n: n + 1), tf.data.Dataset.range(5)).batch(2)
    assert made.options().autotune.enabled is False
    assert [a.tolist() for a, _ in made.as_numpy_iterator()] == [[1, 2], [3, 4], [5]]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core makes one call at once")
def test_calls_still_run_at_once():
    def most_at_once(dataset):
        running, most = tf.Variable(0), tf.Variable(0)

        def call(number):
            most.assign(tf.maximum(most, running.assign_add(1)))
            number = tf.numpy_function(pause, [number], tf.int64)
            with tf.control_dependencies([number]):
                running.assign_sub(1)
            return number

        def pause(number):
            time.sleep(0.01)
            return np.int64(number)

        list(dataset.map(call, num_parallel_calls=tf.data.AUTOTUNE))
        return int(most)

    assert most_at_once(untuned(tf.data.Dataset.range(40))) >= 2
