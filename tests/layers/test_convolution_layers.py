import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.gradients.automatic import compiled
from kerakit.layers import FFTConv2D, Im2ColConv2D
from tests.reference.convolution import convolution_by_loop

LAYERS = {
    "im2col": Im2ColConv2D,
    "explicit": lambda *a, **k: Im2ColConv2D(*a, explicit=True, **k),
    "fft": FFTConv2D,
}
CASES = [
    ((9, 8), 3, {"padding": "same"}),
    ((10, 7), (5, 2), {"strides": 2, "activation": "tanh"}),
    ((8, 11), (3, 4), {"strides": (2, 3), "padding": "same", "use_bias": False}),
    ((9, 9), (3, 2), {"dilation_rate": (2, 3), "padding": "same", "groups": 2}),
    ((6, 5), 1, {"strides": 2}),
]


def outputs_and_gradients(layer, x, slope):
    """Output, and the gradients by input, kernel and bias."""

    @compiled
    def run(x):
        weights = layer.trainable_variables
        return layer(x), *gradients.gradient(lambda x: slope * layer(x), x, variables=weights)

    return [ops.convert_to_numpy(t) for t in run(ops.convert_to_tensor(x))]


@pytest.mark.parametrize(("sizes", "kernel_size", "options"), CASES)
def test_is_keras_conv2d(sizes, kernel_size, options, rng):
    x = rng.normal(size=(2, *sizes, 4)).astype("float32")
    peer = keras.layers.Conv2D(8, kernel_size, bias_initializer="normal", **options)
    slope = ops.convert_to_tensor(rng.normal(size=tuple(peer(x).shape)).astype("float32"))
    expected = outputs_and_gradients(peer, x, slope)
    for make in LAYERS.values():
        layer = make(8, kernel_size, **options)
        layer.build(x.shape)
        layer.set_weights(peer.get_weights())
        assert layer.compute_output_shape(x.shape) == expected[0].shape
        found = outputs_and_gradients(layer, x, slope)
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_is_the_loop(make, rng):
    x = rng.normal(size=(2, 7, 9, 4)).astype("float32")
    options = {"strides": 2, "padding": "same", "groups": 2}
    layer = make(6, (4, 3), bias_initializer="normal", **options)
    layer.build(x.shape)
    y = ops.convert_to_numpy(compiled(layer)(x))
    kernel, bias = layer.get_weights()
    expected = convolution_by_loop(x, kernel, **options) + bias
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_channels_first(make, rng):
    x = rng.normal(size=(2, 7, 9, 3)).astype("float32")
    last, first = make(4, 3), make(4, 3, data_format="channels_first")
    last.build(x.shape)
    expected = ops.convert_to_numpy(compiled(last)(x))
    first.build((2, 3, 7, 9))
    first.set_weights(last.get_weights())
    found = ops.convert_to_numpy(compiled(first)(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_refuses_unknown_options(make):
    with pytest.raises(ValueError, match="paddings"):
        make(4, 3, paddings="same")
