import keras
import numpy as np
import pytest

from kerakit import gradients
from kerakit.layers import MaxPooling2DWithIndices, MaxUnpool2D
from kerakit.ops import max_pooling_with_indices, max_unpooling
from tests.golden.layers import POOLINGS, golden, keras_options, pooled_array


@pytest.mark.parametrize("name", POOLINGS)
def test_is_torchs(name):
    size, options = POOLINGS[name]
    values, indices = golden(f"{name}.values"), golden(f"{name}.indices")
    y = max_unpooling(values, indices, **keras_options(options), output_size=size)
    np.testing.assert_array_equal(y, golden(f"{name}.unpooled"))


@pytest.mark.parametrize("name", ["pool", "pool_overlap"])
def test_without_a_rest_the_size_need_not_be_told(name):
    values, indices = golden(f"{name}.values"), golden(f"{name}.indices")
    y = max_unpooling(values, indices, **keras_options(POOLINGS[name][1]))
    np.testing.assert_array_equal(y, golden(f"{name}.unpooled"))


@pytest.mark.parametrize("name", ["pool_rest", "pool_padded", "pool_uneven"])
def test_layers_in_a_model_of_unknown_size(name):
    """A model that learns the size at run time, from its input's shape."""
    if keras.backend.backend() == "jax":
        pytest.skip("shapes are static on JAX")
    options = keras_options(POOLINGS[name][1])

    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.pool = MaxPooling2DWithIndices(**options)
            self.unpool = MaxUnpool2D(**options)

        def call(self, x):
            values, indices = self.pool(x)
            return self.unpool(values, indices, output_size=keras.ops.shape(x)[1:3])

    np.testing.assert_array_equal(Encoder()(pooled_array(name)), golden(f"{name}.unpooled"))


def test_output_size_is_kept_in_the_saved_model(tmp_path):
    inputs = keras.Input((7, 5, 3))
    values, indices = MaxPooling2DWithIndices(2)(inputs)
    model = keras.Model(inputs, MaxUnpool2D(2)(values, indices, output_size=(7, 5)))
    assert model.output.shape == (None, 7, 5, 3)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(pooled_array("pool_rest")), golden("pool_rest.unpooled"))


@pytest.mark.parametrize("pool_size", [2, 3])
def test_the_gradient_comes_from_the_place_of_each_value(pool_size, rng):
    x = rng.normal(size=(2, 6, 6, 2)).astype("float32")
    slopes = rng.normal(size=x.shape).astype("float32")
    values, indices = max_pooling_with_indices(x, pool_size)

    def unpooled(values):
        return keras.ops.multiply(max_unpooling(values, indices, pool_size=pool_size), slopes)

    (found,) = gradients.gradient(unpooled, values)
    for example, channel in np.ndindex(2, 2):
        flat = np.asarray(indices)[example, ..., channel]
        expected = slopes[example, ..., channel].ravel()[flat]
        np.testing.assert_allclose(found[example, ..., channel], expected, rtol=1e-6)


def test_overlapping_windows_count_a_place_once(rng):
    """Pooling and back is the identity on the maxima, and so is its gradient; PyTorch's is not."""
    x = np.zeros((1, 5, 5, 1), "float32")
    x[0, 2, 2, 0] = 3.0  # the maximum of all four 3 x 3 windows of stride 2

    def there_and_back(x):
        values, indices = max_pooling_with_indices(x, 3, strides=2)
        return max_unpooling(values, indices, pool_size=3, strides=2)

    np.testing.assert_array_equal(there_and_back(x), x)
    (slope,) = gradients.gradient(there_and_back, x)
    np.testing.assert_array_equal(slope, np.where(x > 0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"output_size": (9, 4)},
            r"`output_size` must be within a stride of \(4, 4\), got \(9, 4\)",
        ),
        ({"output_size": (4,)}, r"`output_size` must be \(H_out, W_out\), got \(4,\)"),
        ({"padding": 2}, "`padding` must be at most half of `pool_size`"),
        ({"indices": np.zeros((1, 2, 3, 1), int)}, "`values` and `indices` must be"),
    ],
)
def test_bad_arguments(options, message):
    arrays = {"values": np.zeros((1, 2, 2, 1), "float32"), "indices": np.zeros((1, 2, 2, 1), int)}
    with pytest.raises(ValueError, match=message):
        max_unpooling(**{**arrays, "pool_size": 2, **options})


def test_the_layer_checks_its_arguments():
    with pytest.raises(ValueError, match="`padding` must be at most half of `pool_size`"):
        MaxUnpool2D(2, padding=2)
