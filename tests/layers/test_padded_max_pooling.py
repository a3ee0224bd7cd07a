import keras
import numpy as np
import pytest

from kerakit.layers import MaxPooling2DWithIndices, PaddedMaxPooling2D
from tests.golden.layers import POOLINGS, golden, keras_options, pooled_array


@pytest.mark.parametrize("name", POOLINGS)
def test_is_torchs(name):
    x, options = pooled_array(name), keras_options(POOLINGS[name][1])
    layer, indexed = PaddedMaxPooling2D(**options), MaxPooling2DWithIndices(**options)
    np.testing.assert_array_equal(layer(x), golden(f"{name}.values"))
    np.testing.assert_array_equal(indexed(x)[1], golden(f"{name}.indices"))
    assert layer.compute_output_shape(x.shape) == golden(f"{name}.values").shape


def test_symbolic_shapes_and_dtypes():
    images = keras.Input((7, None, 3))
    values, indices = MaxPooling2DWithIndices(3, strides=2, padding=1)(images)
    assert values.shape == indices.shape == (None, 4, None, 3)
    assert (values.dtype, indices.dtype) == ("float32", "int32")


@pytest.mark.parametrize("part", [PaddedMaxPooling2D, MaxPooling2DWithIndices])
def test_bad_arguments(part):
    with pytest.raises(ValueError, match="`padding` must be at most half of `pool_size`"):
        part(3, padding=2)
    with pytest.raises(ValueError, match="`pool_size` must be an integer of at least 1"):
        part(0)
    with pytest.raises(ValueError, match="`strides` must be an integer of at least 1"):
        part(2, strides=(1, 0))
