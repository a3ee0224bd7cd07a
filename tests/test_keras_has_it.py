"""Where Keras's own part is used, it has the sheet's formula: each against NumPy."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import gradients


def softmax(scores):
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@pytest.fixture
def scores(rng):
    return rng.normal(size=(12, 5)).astype("float32") * 3


@pytest.fixture
def labels(rng):
    return rng.integers(0, 5, 12)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.0])
def test_elu_for_any_alpha(alpha, rng):
    x = rng.normal(size=100).astype("float32") * 3
    expected = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    np.testing.assert_allclose(keras.activations.elu(x, alpha), expected, rtol=1e-5, atol=1e-6)


def test_softmax_cross_entropy(scores, labels):
    expected = -np.log(softmax(scores)[np.arange(12), labels])
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None)
    np.testing.assert_allclose(sparse(labels, scores), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one_hot(np.eye(5)[labels], scores), expected, rtol=1e-5, atol=1e-6)


def test_softmax_cross_entropy_raises_the_right_classs_probability(scores, labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    (slope,) = gradients.gradient(lambda s: loss(labels, s), scores)
    # Down the gradient the right score alone goes up: p - 1 is negative, p is not.
    slope = ops.convert_to_numpy(slope)
    np.testing.assert_allclose(slope, softmax(scores) - np.eye(5)[labels], rtol=1e-4, atol=1e-6)
    before, after = (softmax(s)[np.arange(12), labels] for s in (scores, scores - 0.1 * slope))
    assert (after > before).all()


def test_binary_cross_entropy(rng):
    y, p = rng.integers(0, 2, (9, 1)), rng.uniform(0.01, 0.99, (9, 1)).astype("float32")
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p))[:, 0]
    by_probability = keras.losses.BinaryCrossentropy(reduction=None)
    by_logit = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    # Keras clips probabilities to 1e-7 from 0 and 1, which these are far from.
    np.testing.assert_allclose(by_probability(y, p), expected, rtol=1e-5)
    np.testing.assert_allclose(by_logit(y, np.log(p / (1 - p))), expected, rtol=1e-5)


@pytest.mark.parametrize("part", [keras.regularizers.L1, keras.regularizers.L1L2])
def test_l1_and_elastic_net_away_from_zero(part):
    weights = np.array([3.0, -1.0, 0.5], "float32")
    squares = 0.2 if part is keras.regularizers.L1L2 else 0.0
    regularizer = part(0.3, 0.2) if squares else part(0.3)
    expected = 0.3 * np.abs(weights).sum() + squares * (weights**2).sum()
    assert float(regularizer(ops.array(weights))) == pytest.approx(expected, rel=1e-6)
    (slope,) = gradients.gradient(regularizer, weights)
    np.testing.assert_allclose(slope, 0.3 * np.sign(weights) + 2 * squares * weights, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.75])
def test_dropout_zeroes_a_share_and_scales_the_rest(rate, rng):
    x = rng.uniform(1, 2, 100_000).astype("float32")
    y = ops.convert_to_numpy(layers.Dropout(rate, seed=1)(x, training=True))
    # Four standard errors of a share of 100,000 draws.
    assert (y == 0).mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / 1e5))
    np.testing.assert_allclose(y[y != 0], x[y != 0] / (1 - rate), rtol=1e-6)


def test_dropout_does_nothing_at_test_time(rng):
    x = rng.normal(size=(50, 3)).astype("float32")
    np.testing.assert_array_equal(layers.Dropout(0.9)(x, training=False), x)
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.9)])
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)


def test_dropout_is_an_ensemble_of_thinned_networks(rng):
    """Its mean output is the mean over all 2^n networks, and that is the output at test time."""
    kernel, x = rng.normal(size=(4, 2)), rng.normal(size=4)
    thinned = [(x * mask / 0.5) @ kernel for mask in itertools.product((0.0, 1.0), repeat=4)]
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5, seed=2), layers.Dense(2)])
    model.set_weights([kernel, np.zeros(2)])
    whole = ops.convert_to_numpy(model(x[None]))[0]
    np.testing.assert_allclose(whole, np.mean(thinned, axis=0), rtol=1e-5)
    drawn = ops.convert_to_numpy(model(np.tile(x, (20_000, 1)), training=True))
    # Each draw is one of the 16, and they come equally often.
    found = [np.isclose(drawn, network, atol=1e-5).all(axis=1).mean() for network in thinned]
    np.testing.assert_allclose(found, 1 / 16, atol=4 * np.sqrt(1 / 16 / 20_000))


def test_dropout_parts_inputs_that_lean_on_each_other(rng):
    """Of two equal inputs one carries all: it has to give, the other has to help."""
    x = np.repeat(rng.normal(size=(5000, 1)), 2, axis=1).astype("float32")
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dropout(0.5, seed=3), layers.Dense(1, use_bias=False)]
    )
    model.set_weights([np.array([[1.0], [0.0]])])

    def slope(training):
        def error(x):
            return ops.mean(ops.square(model(x, training=training)[:, 0] - x[:, 0]))

        return gradients.gradient(error, x, variables=model.trainable_variables)[1][:, 0]

    np.testing.assert_allclose(slope(training=False), 0, atol=1e-6)
    first, second = slope(training=True)
    # By hand, with E[x^2] = 1: 2 (E[m1^2] - E[m1]) and 2 (E[m1 m2] - E[m2]), m = 0 or 2.
    mean_square = (x[:, 0] ** 2).mean()
    assert float(first) == pytest.approx(2 * mean_square, rel=0.15)
    assert float(second) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(
    "part", [keras.initializers.GlorotNormal, keras.initializers.GlorotUniform]
)
def test_glorot_has_the_variance_two_over_both_fans(part):
    values = ops.convert_to_numpy(part(seed=1)((600, 400))).astype("float64")
    assert values.var() == pytest.approx(2 / (600 + 400), rel=4 * np.sqrt(2 / values.size))
    assert abs(values.mean()) < 4 * np.sqrt(2 / 1000 / values.size)


def test_glorot_keeps_the_variance_forward_and_back(rng):
    """Of small inputs, where tanh is nearly a line of slope 1."""
    x = rng.normal(size=(200, 512)).astype("float32") * 0.01
    model = keras.Sequential([keras.Input((512,))])
    for seed in range(8):
        initializer = keras.initializers.GlorotNormal(seed=seed)
        model.add(layers.Dense(512, "tanh", kernel_initializer=initializer))
    assert np.var(ops.convert_to_numpy(model(x))) == pytest.approx(np.var(x), rel=0.2)
    upstream = rng.normal(size=x.shape).astype("float32")
    (slope,) = gradients.gradient(lambda x: ops.multiply(model(x), upstream), x)
    assert np.var(ops.convert_to_numpy(slope)) == pytest.approx(np.var(upstream), rel=0.2)


def test_random_normal():
    values = ops.convert_to_numpy(keras.initializers.RandomNormal(stddev=0.01, seed=1)((500, 400)))
    assert values.mean() == pytest.approx(0, abs=4 * 0.01 / np.sqrt(values.size))
    assert values.std() == pytest.approx(0.01, rel=4 / np.sqrt(2 * values.size))


@pytest.mark.parametrize("start", ["zeros", "glorot_uniform"])
def test_neurons_that_start_at_zero_learn_the_same(start, rng):
    x, y = rng.normal(size=(64, 6)).astype("float32"), rng.normal(size=(64, 3)).astype("float32")
    hidden = layers.Dense(8, "sigmoid", kernel_initializer=start)
    output = layers.Dense(3, kernel_initializer=start)
    model = keras.Sequential([keras.Input((6,)), hidden, output])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    kernel = ops.convert_to_numpy(hidden.kernel)
    assert np.abs(kernel).max() > 1e-4  # it has learned
    spread = np.ptp(kernel, axis=1).max()
    assert spread < 1e-6 if start == "zeros" else spread > 0.1


def batch_norm(channels, *, momentum=0.9, epsilon=1e-5):
    layer = layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
    layer.build((None, None, None, channels))
    return layer


def test_batch_normalization_in_training(rng):
    x = (rng.normal(size=(6, 5, 4, 3)) * 2 + 7).astype("float32")
    layer = batch_norm(3)
    gamma, beta = rng.uniform(0.5, 2, 3), rng.normal(size=3)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    # A channel at a time, over all images and places.
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta
    found = ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_batch_normalization_at_test_time(rng):
    layer = batch_norm(3)
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(4):
        x = (rng.normal(size=(6, 5, 4, 3)) * 2 + 7).astype("float32")
        layer(x, training=True)
        mean = 0.9 * mean + 0.1 * x.mean((0, 1, 2))
        variance = 0.9 * variance + 0.1 * x.var((0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-4)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    found = ops.convert_to_numpy(layer(x, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 7, 64])
def test_batch_normalization_has_two_weights_a_channel_and_two_averages(channels):
    layer = batch_norm(channels)
    assert sum(int(np.prod(v.shape)) for v in layer.trainable_variables) == 2 * channels
    assert layer.count_params() == 4 * channels


def test_global_average_pooling_has_no_weights(rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    layer = layers.GlobalAveragePooling2D()
    np.testing.assert_allclose(layer(x), x.mean((1, 2)), rtol=1e-4, atol=1e-6)
    assert layer.count_params() == 0
