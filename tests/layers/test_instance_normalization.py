import keras
import numpy as np
import pytest

from kerakit.layers import InstanceNormalization
from tests.conformance.case import assert_close
from tests.golden.layers import NORMALIZED, drawn, golden


@pytest.mark.parametrize("name", NORMALIZED)
def test_is_torchs(name):
    shape = NORMALIZED[name]
    layer = InstanceNormalization()
    layer.build(shape)
    layer.set_weights([drawn(f"{name}.{w}", shape[-1:]) for w in ("gamma", "beta")])
    x = drawn(name, shape) * 2 + 3
    assert_close(layer(x), golden(name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 7, 3), (3, 4, 5, 2), (2, 3, 4, 5, 2)])
def test_equals_the_loop_and_keras_groups_of_one(shape, rng):
    x = rng.normal(size=shape).astype("float32") * 3 + 5
    expected = np.empty_like(x)
    for example in range(shape[0]):
        for channel in range(shape[-1]):
            plane = x[example, ..., channel]
            expected[example, ..., channel] = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-3)
    layer = InstanceNormalization(epsilon=1e-3, center=False, scale=False)
    assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    group = keras.layers.GroupNormalization(groups=-1, epsilon=1e-3)
    assert_close(group(x), expected, rtol=1e-4, atol=1e-5)


def test_statistics_are_float32_in_float16(rng):
    x = (rng.normal(size=(2, 64, 64, 1)) * 2 + 300).astype("float16")  # squares overflow
    y = InstanceNormalization(dtype="mixed_float16")(x)
    exact = x.astype("float64")
    mean, variance = exact.mean((1, 2), keepdims=True), exact.var((1, 2), keepdims=True)
    assert_close(y, (exact - mean) / np.sqrt(variance + 1e-5), atol=4e-3)


def test_the_config_of_a_built_layer_fits_other_channels():
    layer = InstanceNormalization()
    layer.build((None, 4, 4, 8))
    again = InstanceNormalization.from_config(layer.get_config())
    again.build((None, 4, 4, 3))
    group = keras.layers.GroupNormalization(groups=-1)
    group.build((None, 4, 4, 8))
    with pytest.raises(ValueError, match="cannot be more than the number of channels"):
        keras.layers.GroupNormalization.from_config(group.get_config()).build((None, 4, 4, 3))


def test_errors():
    with pytest.raises(ValueError, match="`epsilon` must be positive, got -1"):
        InstanceNormalization(epsilon=-1)
    with pytest.raises(ValueError, match=r"`inputs` must be \(B, ..., C\) .* got shape \(2, 3\)"):
        InstanceNormalization()(np.zeros((2, 3), "float32"))
