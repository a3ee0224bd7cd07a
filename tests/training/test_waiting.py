"""Time that a training waits for its batches, beside a source that sleeps."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from kerakit.training.waiting import Waiting

COUNT = 20


def numbers(pause):
    def batches():
        for number in range(COUNT):
            time.sleep(pause)
            yield np.full((2, 3), number, "float32"), {"label": np.array([number, -number])}

    shapes = (tf.TensorSpec((2, 3)), {"label": tf.TensorSpec((2,), tf.int64)})
    return tf.data.Dataset.from_generator(batches, output_signature=shapes)


def read(batches, pause):
    found = []
    for batch in batches.as_numpy_iterator():
        time.sleep(pause)
        found.append(batch)
    return found


def test_a_slow_source_is_waited_for():
    waiting = Waiting()
    start = time.monotonic()
    read(waiting.measured(numbers(pause=0.05).prefetch(2)), pause=0.0)
    assert COUNT * 0.05 * 0.9 <= waiting.seconds <= time.monotonic() - start


def test_a_source_that_is_ahead_is_not():
    waiting = Waiting()
    read(waiting.measured(numbers(pause=0.0).prefetch(2)), pause=0.05)
    assert 0 < waiting.seconds < 0.2 * COUNT * 0.05


def test_half_of_a_pause_is_waited_where_the_model_takes_the_other():
    waiting = Waiting()
    read(waiting.measured(numbers(pause=0.06).prefetch(2)), pause=0.03)
    assert waiting.seconds == pytest.approx(COUNT * 0.03, rel=0.35)


def test_a_step_of_two_batches_waits_for_both():
    waiting = Waiting()
    batches = iter(waiting.measured_ahead(numbers(pause=0.05)))
    start = time.monotonic()
    for _ in range(COUNT // 2):
        waiting.step_begins()
        next(batches), next(batches)
        waiting.step_ends(batches=2)
    assert COUNT * 0.05 * 0.9 <= waiting.seconds <= time.monotonic() - start


def test_batches_are_left_as_they_are():
    batches = numbers(pause=0.0)
    waiting = Waiting()
    measured = waiting.measured(batches)
    assert measured.element_spec == batches.element_spec
    for (x, y), (expected, labels) in zip(read(measured, 0.0), read(batches, 0.0), strict=True):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y["label"], labels["label"])


def test_also_where_operations_are_deterministic():
    code = (
        "import tensorflow as tf\n"
        "from kerakit.training.waiting import Waiting\n"
        "waiting = Waiting()\n"
        "batches = waiting.measured(tf.data.Dataset.range(5).prefetch(1))\n"
        "print(list(batches.as_numpy_iterator()), waiting.seconds > 0)"
    )
    environment = {**os.environ, "TF_DETERMINISTIC_OPS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split("] ")[-1].strip() == "True"


OF_REPLICAS = """
import json, time
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kerakit import training

class Batches:
    steps_per_epoch = 10

    def __init__(self, pause):
        self.pause = pause

    def starting_at(self, step):
        def batches():
            while True:
                time.sleep(self.pause)
                yield np.ones((4, 2), "float32"), np.ones((4, 1), "float32")

        shapes = tf.TensorSpec((4, 2)), tf.TensorSpec((4, 1))
        return tf.data.Dataset.from_generator(batches, output_signature=shapes).prefetch(2)

class Pause(keras.callbacks.Callback):
    def __init__(self, pause):
        super().__init__()
        self.pause = pause

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(self.pause)

place = training.Place("mirrored")
model = place.made(lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
with place.scope():
    model.compile("sgd", "mse")
shares = []
for of_source, of_step in ((0.2, 0.0), (0.2, 0.1), (0.0, 0.1)):
    training.fit(
        model,
        Batches(of_source),
        epochs=3,
        state=f"{of_source}-{of_step}",
        callbacks=[Pause(of_step)],
    )
    shares.append(model.history.history["data_wait"][-1])
print(json.dumps(shares))
"""


def test_replicas_wait_all_or_half_of_the_time_or_not_at_all(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", OF_REPLICAS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    all_of_it, half, none = json.loads(run.stdout.splitlines()[-1])
    assert 0.7 < all_of_it <= 1.0
    assert half == pytest.approx(0.5, abs=0.15)
    assert none < 0.1
