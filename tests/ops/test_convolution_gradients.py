import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.gradients.automatic import compiled
from kerakit.ops import (
    convolution_bias_gradient,
    convolution_input_gradient,
    convolution_kernel_gradient,
    direct_convolution,
)


def test_the_formulas_in_one_dimension(rng):
    """z_i = sum_j k_j x_(i+j-1) + b, counted from 1 as it is written there."""
    x, k, slope = rng.normal(size=9), rng.normal(size=4), rng.normal(size=6)
    by_kernel = [sum(slope[i] * x[i + j] for i in range(6)) for j in range(4)]
    by_input = [sum(slope[p - j] * k[j] for j in range(4) if 0 <= p - j < 6) for p in range(9)]
    with gradients.float64_scope():
        upstream, kernel = slope.reshape(1, 6, 1), k.reshape(4, 1, 1)
        found = convolution_kernel_gradient(x.reshape(1, 9, 1), upstream, kernel_size=(4,))
        np.testing.assert_allclose(ops.convert_to_numpy(found)[:, 0, 0], by_kernel, rtol=1e-12)
        found = convolution_input_gradient(upstream, kernel, input_shape=(1, 9, 1))
        np.testing.assert_allclose(ops.convert_to_numpy(found)[0, :, 0], by_input, rtol=1e-12)
        found = convolution_bias_gradient(upstream)
        np.testing.assert_allclose(ops.convert_to_numpy(found), [slope.sum()], rtol=1e-12)


def test_the_formulas_in_two_dimensions(rng):
    x, w = rng.normal(size=(2, 7, 6, 2)), rng.normal(size=(3, 2, 2, 3))
    stride, padding = (2, 1), (1, 0)
    slope = rng.normal(size=(2, 4, 5, 3))
    padded = np.pad(x, [(0, 0), (1, 1), (0, 0), (0, 0)])
    by_kernel, by_input = np.zeros_like(w), np.zeros_like(padded)
    for n, i, j in np.ndindex(2, 4, 5):
        for a, b in np.ndindex(3, 2):
            at = (n, 2 * i + a, j + b)
            by_kernel[a, b] += np.outer(padded[at], slope[n, i, j])
            by_input[at] += w[a, b] @ slope[n, i, j]
    options = {"strides": stride, "padding": padding}
    with gradients.float64_scope():
        found = convolution_kernel_gradient(x, slope, kernel_size=(3, 2), **options)
        np.testing.assert_allclose(ops.convert_to_numpy(found), by_kernel, rtol=1e-12, atol=1e-13)
        found = convolution_input_gradient(slope, w, input_shape=x.shape, **options)
        expected = by_input[:, 1:-1]
        np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("sizes", "kernel_size", "options"),
    [
        ((8,), (3,), {}),
        ((9,), (4,), {"strides": 3, "padding": 3}),
        ((12,), (3,), {"strides": 2, "padding": 1, "dilation_rate": 3, "groups": 2}),
        ((7, 8), (3, 3), {"padding": "same"}),
        ((8, 7), (2, 5), {"padding": (0, 4), "strides": (1, 2)}),
        ((9, 10), (3, 2), {"strides": 2, "padding": "same", "groups": 4}),
        ((9, 10), (3, 2), {"strides": (3, 2), "dilation_rate": (2, 3), "padding": 1}),
        ((6, 5), (1, 1), {"strides": 2}),
        ((4, 5, 6), (2, 3, 1), {"strides": (1, 2, 1), "padding": 1, "groups": 2}),
    ],
)
def test_equal_automatic_gradients(sizes, kernel_size, options, rng):
    groups = options.get("groups", 1)
    with gradients.float64_scope():
        x = rng.normal(size=(2, *sizes, 4))
        w, b = rng.normal(size=(*kernel_size, 4 // groups, 8)), rng.normal(size=8)
        shape = direct_convolution(x, w, **options).shape
        slope = ops.convert_to_tensor(rng.normal(size=tuple(shape)))
        automatic = gradients.gradient(
            lambda x, w, b: slope * (direct_convolution(x, w, **options) + b), x, w, b
        )

        @compiled
        def written_out(x, w):
            return (
                convolution_input_gradient(slope, w, input_shape=x.shape, **options),
                convolution_kernel_gradient(x, slope, kernel_size=kernel_size, **options),
                convolution_bias_gradient(slope),
            )

        written = written_out(ops.convert_to_tensor(x), ops.convert_to_tensor(w))
        for found, expected in zip(written, automatic, strict=True):
            found, expected = ops.convert_to_numpy(found), ops.convert_to_numpy(expected)
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_refuses_gradients_of_another_output():
    slope = np.ones((1, 4, 4, 2))
    message = r"`output_gradient` must have the output's spatial sizes \(3, 3\), got \(4, 4\)"
    with pytest.raises(ValueError, match=message):
        convolution_kernel_gradient(np.ones((1, 5, 5, 1)), slope, kernel_size=(3, 3))
    with pytest.raises(ValueError, match=message):
        convolution_input_gradient(slope, np.ones((3, 3, 1, 2)), input_shape=(1, 5, 5, 1))
