"""What the sheet says of vanishing and exploding gradients and of initial weights."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import gradients
from kerakit.callbacks import GradientClipping
from kerakit.initializers import HeNormal
from kerakit.optimizers import SGD

WIDTH = 32


def normal(deviation):
    return lambda seed: keras.initializers.RandomNormal(stddev=deviation, seed=seed)


def glorot(seed):
    return keras.initializers.GlorotNormal(seed=seed)


def he(seed):
    return HeNormal(seed=seed)


def stack(depth, activation, initializer, *, norm=False, residual=False):
    inputs = x = keras.Input((WIDTH,))
    for seed in range(depth):
        y = layers.Dense(WIDTH, kernel_initializer=initializer(seed))(x)
        if norm:
            y = layers.BatchNormalization()(y)
        y = layers.Activation(activation)(y)
        x = layers.Add()([x, y]) if residual else y
    return keras.Model(inputs, x)


def reaching_the_input(model, rng):
    """Size of the gradient that reaches the input, over that of the one sent in at the output."""
    x = rng.normal(size=(64, WIDTH)).astype("float32")
    upstream = rng.normal(size=(64, WIDTH)).astype("float32")
    (slope,) = gradients.gradient(lambda x: ops.multiply(model(x, training=True), upstream), x)
    return float(ops.norm(slope)) / np.linalg.norm(upstream)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_gradients_vanish_where_activations_saturate(activation, rng):
    """Through one activation, for sums of deviation 1 and of deviation 10."""

    def share_that_passes(deviation):
        x = (deviation * rng.normal(size=2000)).astype("float32")
        (slope,) = gradients.gradient(getattr(ops, activation), x)
        return np.median(ops.convert_to_numpy(slope))

    assert share_that_passes(10) < 0.05 * share_that_passes(1)


def test_gradients_vanish_with_depth(rng):
    reaching = [reaching_the_input(stack(n, "sigmoid", glorot), rng) for n in (1, 5, 10)]
    # At most 1/4 is left of them at each layer: the largest slope of sigmoid.
    assert reaching[0] < 1 / 4
    assert reaching[1] < 1 / 4**5
    assert reaching[2] < 1 / 4**10


# What keeps them alive, and the same network of 10 layers without it.
SOLUTIONS = {
    "relu": (
        {"activation": "relu", "initializer": he},
        {"activation": "sigmoid", "initializer": he},
    ),
    "he": (
        {"activation": "relu", "initializer": he},
        {"activation": "relu", "initializer": normal(0.05)},
    ),
    "glorot": (
        {"activation": "tanh", "initializer": glorot},
        {"activation": "tanh", "initializer": normal(0.05)},
    ),
    "residual": (
        {"activation": "sigmoid", "initializer": glorot, "residual": True},
        {"activation": "sigmoid", "initializer": glorot},
    ),
    "batch norm": (
        {"activation": "tanh", "initializer": normal(0.05), "norm": True},
        {"activation": "tanh", "initializer": normal(0.05)},
    ),
}


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_what_keeps_gradients_from_vanishing(solution, rng):
    with_it, without = (reaching_the_input(stack(10, **o), rng) for o in SOLUTIONS[solution])
    assert with_it > 0.1
    assert without < 1e-3


def test_good_initial_weights_keep_gradients_from_exploding(rng):
    assert reaching_the_input(stack(10, "relu", normal(1.0)), rng) > 1e4
    assert reaching_the_input(stack(10, "relu", he), rng) < 10


def test_batch_norm_keeps_gradients_from_exploding(rng):
    """It takes the size of its weights out of what passes, forward and back."""
    passing = [
        reaching_the_input(stack(10, "relu", normal(deviation), norm=True), rng)
        for deviation in (0.1, 1.0, 10.0)
    ]
    assert max(passing) < 100
    np.testing.assert_allclose(passing[1:], passing[0], rtol=0.3)


@pytest.mark.parametrize("norm", [False, True])
def test_batch_norm_allows_higher_rates(norm, rng):
    """At a rate of 3 the plain network gets lost, and the one with batch norm learns."""
    x = rng.normal(size=(256, WIDTH)).astype("float32")
    labels = (x[:, 0] > 0).astype("int32")
    model = keras.Sequential([stack(5, "relu", he, norm=norm), layers.Dense(2)])
    model.compile(SGD(3.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.tile(x, (20, 1)), np.tile(labels, 20), batch_size=64, verbose=0)
    scores = ops.convert_to_numpy(model(x, training=True))
    accuracy = (scores.argmax(axis=-1) == labels).mean()
    assert accuracy > 0.8 if norm else accuracy < 0.6


@pytest.mark.parametrize("clipped", [False, True])
def test_clipping_the_norm_keeps_a_training_from_exploding(clipped, rng):
    x = 10 * rng.normal(size=(64, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile(SGD(0.05), "mse")
    callbacks = [GradientClipping(1.0)] if clipped else []
    losses = model.fit(
        x, x[:, :1], epochs=20, batch_size=16, verbose=0, callbacks=callbacks
    ).history["loss"]
    assert losses[-1] < losses[0] if clipped else not losses[-1] < 1e6


@pytest.mark.parametrize(("depth", "low", "high"), [(2, 0.05, 1.0), (20, 0.0, 1e-8)])
def test_one_deviation_for_all_suits_small_networks_alone(depth, low, high, rng):
    """Of 0.1 here: activations get smaller by the same factor at each layer."""
    x = rng.normal(size=(100, WIDTH)).astype("float32")
    ratio = np.std(ops.convert_to_numpy(stack(depth, "relu", normal(0.1))(x))) / np.std(x)
    assert low < ratio < high


def test_relu_halves_the_mean_square(rng):
    """What He's factor of 2 makes up for."""
    x = rng.normal(size=100_000).astype("float32")
    relu = ops.convert_to_numpy(ops.relu(x))
    assert (relu == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (relu**2).mean() == pytest.approx((x**2).mean() / 2, rel=0.02)
