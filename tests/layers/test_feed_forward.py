import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import FeedForward
from tests.conformance.case import assert_close


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4, 5, 3), (7, 3)])
def test_equals_the_formula(shape, rng):
    x = rng.normal(size=shape).astype("float32")
    layer = FeedForward(8, seed=1)
    layer.build(shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    w_1, b_1, w_2, b_2 = layer.get_weights()
    expected = np.maximum(0, x @ w_1 + b_1) @ w_2 + b_2
    assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_parameters():
    layer = FeedForward(48)
    layer.build((None, 5, 12))
    assert layer.count_params() == 2 * 12 * 48 + 48 + 12 == 8 * 12**2 + 5 * 12


def test_gelu_is_the_exact_one():
    layer = FeedForward(1, activation="gelu")
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 1)), np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    assert_close(layer(np.array([[1.5]])), np.array([[1.5 * 0.9331927987]]), rtol=1e-6)


def test_drops_hidden_features_in_training_alone():
    layer = FeedForward(1000, drop_rate=0.25, seed=2)
    layer.build((None, 1))
    layer.set_weights(
        [np.ones((1, 1000)), np.zeros(1000), np.full((1000, 1), 1 / 1000), np.zeros(1)]
    )
    x = np.ones((8, 1), "float32")
    assert_close(layer(x), 1.0, rtol=1e-5)
    kept = ops.convert_to_numpy(layer(x, training=True)).ravel()
    assert np.unique(kept).size > 1
    # Mean of 1000 draws of 0 or 4/3, deviation 0.018.
    assert_close(kept, 1.0, atol=0.1)


def test_the_two_kernels_differ_under_one_initializer():
    initializer = keras.initializers.RandomNormal()
    layer = FeedForward(4, kernel_initializer=initializer)
    layer.build((None, 4))
    first, _, second, _ = layer.get_weights()
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_dim": 0}, "`hidden_dim` must be an integer of at least 1, got 0."),
        ({"hidden_dim": 4, "drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\), got 1.0."),
    ],
)
def test_errors(config, message):
    with pytest.raises(ValueError, match=message):
        FeedForward(**config)


def test_both_kernels_differ_under_a_seed():
    layer = FeedForward(6, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
    layer.build((None, 6))
    first, second = (ops.convert_to_numpy(x.kernel) for x in (layer.linear_1, layer.linear_2))
    assert np.abs(first - second).max() > 0.01
