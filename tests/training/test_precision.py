import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit.training import precision
from kerakit.training.precision import convolve_as_float32


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_layers_made_within_follow_the_policy(policy):
    with precision(policy):
        layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert layer.compute_dtype == policy.removeprefix("mixed_")
    assert layer.kernel.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_comes_back_after_an_error():
    with pytest.raises(RuntimeError), precision("mixed_bfloat16"):
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_other_policies_are_refused():
    message = "`policy` must be one of float32, mixed_bfloat16, mixed_float16, got 'float64'"
    with pytest.raises(ValueError, match=message), precision("float64"):
        pass


@pytest.mark.parametrize(("kernel_size", "channels"), [(3, 24), (1, 400)])
def test_float16_convolutions_round_once(kernel_size, channels, rng):
    x = rng.normal(size=(2, 9, 9, channels)).astype("float16")
    towards = rng.normal(size=(2, 9, 9, 8)).astype("float16")
    with precision("mixed_float16"):
        layer = keras.layers.Conv2D(8, kernel_size, padding="same", use_bias=False)
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), layer])
    layer.kernel.assign(rng.normal(size=layer.kernel.shape).astype("float16") / channels**0.5)

    def outputs_and_gradients():
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = model(given)
            loss = tf.reduce_sum(tf.cast(towards, "float32") * tf.cast(outputs, "float32"))
        return [outputs, *tape.gradient(loss, [given, layer.kernel])]

    # The same in float64, of the values that float16 has.
    given, kernel = tf.cast(x, "float64"), tf.cast(tf.cast(layer.kernel, "float16"), "float64")
    with tf.GradientTape() as tape:
        tape.watch([given, kernel])
        exact = tf.nn.conv2d(given, kernel, 1, "SAME")
        loss = tf.reduce_sum(tf.cast(towards, "float64") * exact)
    exact = [exact, *tape.gradient(loss, [given, kernel])]

    plain = outputs_and_gradients()
    assert convolve_as_float32(model) == 1
    for ours, keras_own, truth in zip(outputs_and_gradients(), plain, exact, strict=True):
        assert ours.dtype == keras_own.dtype
        np.testing.assert_allclose(ours, truth, rtol=2**-10, atol=1e-5)
        far = [
            np.abs(np.subtract(found, truth, dtype="float64")).mean() for found in (ours, keras_own)
        ]
        assert far[0] <= 1.001 * far[1]


def test_convolutions_of_float32_are_left_as_they_are():
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    assert convolve_as_float32(model) == 0
