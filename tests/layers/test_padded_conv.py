import keras
import numpy as np
import pytest

from kerakit.layers import PaddedConv1D, PaddedConv2D, PaddedConv3D
from tests.conformance.case import assert_close
from tests.golden.layers import CONVOLUTIONS, convolution_arrays, golden, keras_options

CLASSES = {1: PaddedConv1D, 2: PaddedConv2D, 3: PaddedConv3D}


def built(name, **more):
    """The layer of a case, with the case's weights."""
    _, channels, filters, kernel, options = CONVOLUTIONS[name]
    layer = CLASSES[len(kernel)](filters, kernel, **keras_options(options), **more)
    layer.build((None,) * (len(kernel) + 1) + (channels,))
    layer.set_weights(convolution_arrays(name)[1:])
    return layer


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_is_torchs(name):
    x = convolution_arrays(name)[0]
    layer, expected = built(name), golden(name)
    assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


@pytest.mark.parametrize("name", ["conv1d", "conv2d_stem", "conv2d_dilated", "conv3d_frames"])
def test_takes_unknown_sizes(name):
    x = convolution_arrays(name)[0]
    inputs = keras.Input((None,) * (x.ndim - 2) + x.shape[-1:])
    model = keras.Model(inputs, built(name)(inputs))
    assert model.output.shape == (None,) * (x.ndim - 1) + golden(name).shape[-1:]
    assert_close(model(x), golden(name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 2), ((3, 1), (2, 7))])
def test_none_keeps_the_size_as_keras_same_does(kernel, dilation, rng):
    x = rng.normal(size=(2, 9, 12, 3)).astype("float32")
    layer = PaddedConv2D(4, kernel, padding=None, dilation_rate=dilation)
    same = keras.layers.Conv2D(4, kernel, padding="same", dilation_rate=dilation)
    y = layer(x)
    same.build(x.shape)
    same.set_weights(layer.get_weights())
    assert_close(y, same(x), rtol=1e-5, atol=1e-5)


def test_lies_a_pixel_before_keras_same_at_stride_two():
    """The difference that the docstring tells, on the centre of each window."""
    x = np.arange(8.0, dtype="float32").reshape(1, 8, 1)
    centre = [np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)]
    ours = PaddedConv1D(1, 3, strides=2, padding=1, use_bias=False)
    keras_same = keras.layers.Conv1D(1, 3, strides=2, padding="same", use_bias=False)
    found = []
    for layer in (ours, keras_same):
        layer.build(x.shape)
        layer.set_weights(centre)
        found.append(keras.ops.convert_to_numpy(layer(x)).ravel().tolist())
    assert found == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_activation_and_bias_come_after(rng):
    x = convolution_arrays("conv2d")[0]
    expected = np.maximum(golden("conv2d"), 0)
    layer = built("conv2d", activation="relu")
    assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_config_holds_the_numbers():
    layer = PaddedConv3D(2, 3, strides=(1, 2, 2), padding=None, dilation_rate=1, groups=2)
    config = layer.get_config()
    assert (config["padding"], config["strides"]) == ((1, 1, 1), (1, 2, 2))
    assert "data_format" not in config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": -1}, "`padding` must be an integer of at least 0 or 2 of them, got -1"),
        (
            {"padding": "same"},
            "`padding` must be an integer of at least 0 or 2 of them, got 'same'",
        ),
        ({"strides": 0}, "`strides` must be an integer of at least 1 or 2 of them, got 0"),
        ({"dilation_rate": (1, 0)}, "`dilation_rate` must be an integer of at least 1"),
        ({"padding": None, "kernel_size": (3, 2)}, "`padding` must be given .* windows of (3, 2)"),
    ],
)
def test_bad_arguments(options, message):
    message = message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=message):
        PaddedConv2D(**{"filters": 4, "kernel_size": 3, **options})


def test_a_window_must_fit():
    with pytest.raises(ValueError, match="must be at least as large as the window"):
        PaddedConv2D(4, 5)(np.zeros((1, 4, 9, 1), "float32"))
