import keras
import numpy as np
import pytest

from kerakit.layers import PaddedConv1DTranspose, PaddedConv2DTranspose, PaddedConv3DTranspose
from tests.conformance.case import assert_close
from tests.golden.layers import TRANSPOSED, golden, keras_options, transposed_arrays

CLASSES = {1: PaddedConv1DTranspose, 2: PaddedConv2DTranspose, 3: PaddedConv3DTranspose}


def built(name):
    """The layer of a case, with the case's weights."""
    _, channels, filters, kernel, options = TRANSPOSED[name]
    layer = CLASSES[len(kernel)](filters, kernel, **keras_options(options))
    layer.build((None,) * (len(kernel) + 1) + (channels,))
    layer.set_weights(transposed_arrays(name)[1:])
    return layer


@pytest.mark.parametrize("name", TRANSPOSED)
def test_is_torchs(name):
    x = transposed_arrays(name)[0]
    layer, expected = built(name), golden(name)
    assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


@pytest.mark.parametrize("name", TRANSPOSED)
def test_takes_unknown_sizes(name):
    x = transposed_arrays(name)[0]
    inputs = keras.Input((None,) * (x.ndim - 2) + x.shape[-1:])
    model = keras.Model(inputs, built(name)(inputs))
    assert model.output.shape == (None,) * (x.ndim - 1) + golden(name).shape[-1:]
    assert_close(model(x), golden(name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "kernel", "stride", "theirs", "ours"), [(7, 2, 4, 28, 26)])
def test_size_where_keras_has_another(size, kernel, stride, theirs, ours):
    shape = (1, size, size, 1)
    keras_layer = keras.layers.Conv2DTranspose(1, kernel, strides=stride, padding="valid")
    layer = PaddedConv2DTranspose(1, kernel, strides=stride)
    assert keras_layer.compute_output_shape(shape)[1] == theirs
    assert layer.compute_output_shape(shape)[1] == ours


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": (1, -1)}, "`padding` must be an integer of at least 0 or 2 of them"),
        ({"strides": 0}, "`strides` must be an integer of at least 1 or 2 of them, got 0"),
        ({"output_padding": 2}, r"`output_padding` must be less than `strides`, got \(2, 2\)"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        PaddedConv2DTranspose(**{"filters": 4, "kernel_size": 3, "strides": 2, **options})


def test_something_must_be_left():
    with pytest.raises(ValueError, match="`inputs` must be large enough for an output"):
        PaddedConv1DTranspose(1, 3, padding=2)(np.zeros((1, 2, 1), "float32"))
