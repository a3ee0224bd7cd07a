import keras
import pytest

from kerakit.layers import PaddedConv2D, PaddedDepthwiseConv2D
from tests.conformance.case import assert_close
from tests.golden.layers import CONVOLUTIONS, convolution_arrays, golden, keras_options


@pytest.mark.parametrize("name", ["conv2d_depthwise", "conv2d_depthwise_dilated"])
def test_is_torchs(name):
    x, kernel, bias = convolution_arrays(name)
    _, channels, filters, size, options = CONVOLUTIONS[name]
    options = {k: v for k, v in keras_options(options).items() if k != "groups"}
    layer = PaddedDepthwiseConv2D(size, depth_multiplier=filters // channels, **options)
    layer.build(x.shape)
    layer.set_weights([kernel.reshape(*size, channels, -1), bias])
    assert_close(layer(x), golden(name), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == golden(name).shape


@pytest.mark.parametrize("strides", [1, 2, (1, 2), (3, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_is_a_convolution_of_each_channel(strides, dilation, rng):
    x = rng.normal(size=(2, 10, 11, 3)).astype("float32")
    options = {"strides": strides, "padding": 2, "dilation_rate": dilation}
    layer = PaddedDepthwiseConv2D(3, depth_multiplier=2, use_bias=False, **options)
    found = layer(x)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    for channel in range(3):
        single = PaddedConv2D(2, 3, use_bias=False, **options)
        single.build((None, None, None, 1))
        single.set_weights([kernel[:, :, channel : channel + 1]])
        expected = single(x[..., channel : channel + 1])
        part = found[..., 2 * channel : 2 * channel + 2]
        assert_close(part, expected, rtol=1e-4, atol=1e-5)


def test_takes_keras_weights(rng):
    x = rng.normal(size=(2, 7, 8, 4)).astype("float32")
    theirs = keras.layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal")
    expected = theirs(x)
    layer = PaddedDepthwiseConv2D(3, padding=None)
    layer.build(x.shape)
    layer.set_weights(theirs.get_weights())
    assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": -1}, "`padding` must be an integer of at least 0 or 2 of them, got -1"),
        ({"strides": (1, 0)}, "`strides` must be an integer of at least 1 or 2 of them"),
        ({"kernel_size": 2, "padding": None}, "`padding` must be given where a window is even"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        PaddedDepthwiseConv2D(**{"kernel_size": 3, **options})
