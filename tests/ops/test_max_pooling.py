import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.ops import max_pooling, max_pooling_with_indices
from tests.golden.layers import POOLINGS, golden, keras_options, pooled_array


@pytest.mark.parametrize("name", POOLINGS)
def test_values_and_indices_are_torchs(name):
    """On whole numbers from -4 to 4: nearly every window has its maximum twice."""
    values, indices = max_pooling_with_indices(
        pooled_array(name), **keras_options(POOLINGS[name][1])
    )
    np.testing.assert_array_equal(values, golden(f"{name}.values"))
    np.testing.assert_array_equal(indices, golden(f"{name}.indices"))
    assert keras.backend.standardize_dtype(indices.dtype) == "int32"


@pytest.mark.parametrize("name", ["pool_rest", "pool_padded", "pool_dense"])
def test_takes_unknown_sizes(name):
    options = keras_options(POOLINGS[name][1])
    inputs = keras.Input((None, None, 3))
    model = keras.Model(
        inputs, keras.layers.Lambda(max_pooling_with_indices, arguments=options)(inputs)
    )
    values, indices = model(pooled_array(name))
    np.testing.assert_array_equal(values, golden(f"{name}.values"))
    np.testing.assert_array_equal(indices, golden(f"{name}.indices"))


def pooled_by_loop(x, size, stride, padding):
    """1D, over the places that there are."""
    starts = range(-padding, len(x) + padding - size + 1, stride)
    return np.array([x[max(s, 0) : s + size].max() for s in starts])


@pytest.mark.parametrize("length", [7, 8, 12])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 2, 1), (2, 2, 1), (5, 1, 2), (3, 4, 1)]
)
def test_equals_the_loop(length, size, stride, padding, rng):
    x = rng.normal(size=length).astype("float32") - 10  # zeros as padding would win
    y = max_pooling(x.reshape(1, -1, 1), size, strides=stride, padding=padding)
    np.testing.assert_array_equal(np.ravel(y), pooled_by_loop(x, size, stride, padding))


def test_three_axes(rng):
    x = rng.normal(size=(2, 5, 6, 7, 2)).astype("float32")
    y = max_pooling(x, (1, 3, 3), strides=(1, 2, 2), padding=(0, 1, 1))
    for frame in range(5):
        expected = max_pooling(x[:, frame], 3, strides=2, padding=1)
        np.testing.assert_array_equal(y[:, frame], expected)


def test_where_all_is_minus_infinity_the_first_place_counts():
    x = np.full((1, 4, 4, 1), -np.inf, "float32")
    _, indices = max_pooling_with_indices(x, 3, strides=2, padding=1)
    np.testing.assert_array_equal(np.asarray(indices)[0, ..., 0], [[0, 1], [4, 5]])


def test_the_gradient_goes_to_the_maximum_alone(rng):
    x = rng.permutation(36.0 * np.ones(36) - np.arange(36)).reshape(1, 6, 6, 1).astype("float32")
    slopes = rng.normal(size=(1, 3, 3, 1)).astype("float32")

    def pooled(x):
        return ops.multiply(max_pooling(x, 3, strides=2, padding=1), slopes)

    (found,) = gradients.gradient(pooled, x)
    _, indices = max_pooling_with_indices(x, 3, strides=2, padding=1)
    expected = np.zeros(36, "float32")
    np.add.at(expected, np.ravel(ops.convert_to_numpy(indices)), slopes.ravel())
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 0}, "`pool_size` must be an integer of at least 1 or 2 of them, got 0"),
        ({"strides": (1, 2, 3)}, "`strides` must be an integer of at least 1 or 2 of them"),
        ({"padding": 2}, r"`padding` must be at most half of `pool_size`, got \(2, 2\)"),
        ({"pool_size": 9}, "`inputs` must be at least as large as the window"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        max_pooling_with_indices(np.zeros((1, 6, 6, 1), "float32"), **{"pool_size": 3, **options})


def test_indices_need_images():
    with pytest.raises(ValueError, match=r"`x` must be \(B, H, W, C\), got shape \(1, 6, 1\)"):
        max_pooling_with_indices(np.zeros((1, 6, 1), "float32"), 2)
