import itertools
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit import training
from kerakit.errors import InputError


class Batches:
    """The same 32 examples an epoch, in batches of a size."""

    def __init__(self, size):
        self.size, self.steps_per_epoch = size, 32 // size

    def starting_at(self, step):
        draw = np.random.default_rng(0)
        x = draw.normal(size=(32, 6)).astype("float32")
        y = np.tanh(x[:, :3])

        def batches():
            for number in itertools.count(step):
                begin = number % self.steps_per_epoch * self.size
                yield x[begin : begin + self.size], y[begin : begin + self.size]

        shapes = (tf.TensorSpec((self.size, 6)), tf.TensorSpec((self.size, 3)))
        return tf.data.Dataset.from_generator(batches, output_signature=shapes)


def settings(**changes):
    common = {
        "optimizer": "sgd",
        "schedule": "cosine",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-2,
        "ema": 0.0,
        "accumulate": 1,
        "epochs": 6,
        "warmup_epochs": 2.0,
    }
    return types.SimpleNamespace(**{**common, **changes})


def trained(optimizer, batch_size, state):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "tanh")])
    model.add(keras.layers.Dense(3))
    model.compile(optimizer, loss="mse")
    training.fit(model, Batches(batch_size), epochs=6, state=state)
    return model


class EveryFourth(keras.optimizers.schedules.LearningRateSchedule):
    """The rates at which updates of four steps each come."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, update):
        return self.rate(4 * update + 3)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_accumulated_steps_are_one_of_a_batch_so_much_larger(tmp_path, name):
    accumulating = training.optimizer_of(settings(optimizer=name, accumulate=4), steps_per_epoch=4)
    small = trained(accumulating, 8, tmp_path / "small.ckpt")
    rate = training.falling_rate("cosine", peak=0.1, steps=24, warm_up=8)
    optimizer = training.optimizer(name, EveryFourth(rate), weight_decay=1e-2)
    large = trained(optimizer, 32, tmp_path / "large.ckpt")
    assert int(small.optimizer.iterations) == int(large.optimizer.iterations) == 6
    for one, other in zip(small.get_weights(), large.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_the_running_average_is_one_of_updates():
    weights = [keras.Variable([1.0]) for _ in range(2)]
    gradients = (1.0, -2.0, 3.0)
    plain = training.optimizer("sgd", 0.1, ema=0.9)
    for gradient in gradients:
        plain.apply([keras.ops.full((1,), gradient)], weights[:1])
    accumulating = training.optimizer("sgd", 0.1, ema=0.9, accumulate=4)
    for gradient in np.repeat(gradients, 4):
        accumulating.apply([keras.ops.full((1,), gradient)], weights[1:])
    for _ in range(3):  # the last weights count as long as the others
        accumulating.apply([keras.ops.zeros(1)], weights[1:])
    averages = [o._model_variables_moving_average[0] for o in (plain, accumulating)]
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(a) for a in averages), rtol=1e-6)


def test_a_scaled_loss_is_unscaled_before_it_adds_up(tmp_path):
    plain, inner = (
        training.optimizer_of(settings(accumulate=4), steps_per_epoch=4) for _ in range(2)
    )
    scaled = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0, dynamic_growth_steps=50)
    one = trained(plain, 8, tmp_path / "plain.ckpt")
    other = trained(scaled, 8, tmp_path / "scaled.ckpt")
    for weight, expected in zip(other.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=2e-6)


def test_replicas_cannot_accumulate(monkeypatch):
    monkeypatch.setattr(sys.modules["kerakit.training.optimizer"], "replicas", lambda: 2)
    with pytest.raises(InputError, match="--accumulate 4 works on one device only, and here are 2"):
        training.optimizer_of(settings(accumulate=4), steps_per_epoch=10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: training.optimizer("adam", 0.1), "'sgd' or 'adamw', got 'adam'"),
        (
            lambda: training.optimizer("sgd", 0.1, accumulate=0),
            "`accumulate` must be at least 1, got 0",
        ),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
