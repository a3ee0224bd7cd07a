import keras
import numpy as np
import pytest

from kerakit.layers import BatchNormalization, FrozenBatchNormalization
from tests.conformance.case import assert_close


@pytest.fixture
def weights(rng):
    return [rng.uniform(0.5, 2, 3).astype("float32") for _ in range(4)]


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 6, 3), (2, 3, 4, 5, 3)])
@pytest.mark.parametrize("training", [False, True])
def test_is_the_formula_in_training_too(shape, training, weights, rng):
    x = rng.normal(size=shape).astype("float32")
    layer = FrozenBatchNormalization(epsilon=1e-3)
    layer.build(shape)
    layer.set_weights(weights)
    gamma, beta, mean, variance = weights
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    assert_close(layer(x, training=training), expected, rtol=1e-4, atol=1e-5)


def test_takes_the_weights_of_a_trained_model(rng):
    x = rng.normal(size=(2, 5, 6, 3)).astype("float32")

    def model(norm):
        layers = [keras.layers.Conv2D(4, 3, name="conv1"), norm(name="bn1")]
        layers.append(keras.layers.Dense(2, name="fc"))
        return keras.Sequential([keras.Input((5, 6, 3)), *layers], name="model")

    trained, frozen = model(BatchNormalization), model(FrozenBatchNormalization)
    trained.set_weights([rng.uniform(0.5, 2, w.shape) for w in trained.get_weights()])
    frozen.set_weights(trained.get_weights())
    assert_close(frozen(x), trained(x), rtol=1e-5, atol=1e-6)
    assert [w.path for w in frozen.weights] == [w.path for w in trained.weights]


def test_no_switch_thaws_it(weights):
    layer = FrozenBatchNormalization()
    layer.build((None, 3))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.trainable = True
    assert layer.trainable_weights == []
    layer.set_weights(weights)
    model(np.ones((5, 3)), training=True)
    for found, expected in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_epsilon_must_be_positive():
    with pytest.raises(ValueError, match="`epsilon` must be positive, got 0"):
        FrozenBatchNormalization(epsilon=0)
