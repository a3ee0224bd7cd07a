"""How long a training waits for its data."""

import time

import tensorflow as tf


class Waiting:
    """Adds up the time between asking for a batch and getting it.

    Attributes:
        seconds: Of all batches so far.
    """

    def __init__(self):
        self.seconds = 0.0
        self._times, self._taken, self._began = {}, 0, 0.0

    def measured(self, batches):
        """The same batches, where it is the training that asks for them.

        Args:
            batches: tf.data, which ends in a `prefetch`, so that waiting is all that is timed.
        """

        def note(number, asked):
            self.seconds += time.perf_counter() - float(asked)
            return number

        return _noted(batches, note)

    def measured_ahead(self, batches):
        """The same batches, where another thread asks for them, ahead of the training's steps.

        So TensorFlow brings them to replicas. A step waited from where it began, see
        `step_begins`, or its batch was asked for, whatever was later.

        Args:
            batches: As in `measured`.
        """
        times = self._times = {}
        self._taken = 0

        def note(number, asked):
            times[int(number)] = float(asked), time.perf_counter()
            return number

        return _noted(batches, note)

    def step_begins(self):
        self._began = time.perf_counter()

    def step_ends(self, batches=1):
        """Adds what a step of batches that were read ahead waited.

        Args:
            batches: How many it took: a model compiled with `steps_per_execution` takes several.
        """
        for _ in range(batches):
            asked, there = self._times.pop(self._taken, (0.0, 0.0))
            self.seconds += max(0.0, there - max(asked, self._began))
            self._began = max(self._began, there)  # for the next one it waits from here
            self._taken += 1


def _noted(batches, note):
    """The same batches; `note` is given of each the number and the moment it was asked for."""

    def asked(number):  # where operations are to be deterministic, TensorFlow's own clock refuses
        return number, tf.numpy_function(time.perf_counter, [], tf.float64)

    def noted(asked, batch):
        with tf.control_dependencies([tf.numpy_function(note, asked, tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # it would do the waiting
    options.experimental_optimization.map_parallelization = False
    # Zip asks its parts in turn: the clock, then the batches.
    timed = tf.data.Dataset.zip(tf.data.Dataset.counter().map(asked), batches)
    return timed.map(noted).with_options(options)
