import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.gradients.automatic import compiled
from kerakit.ops import convolution, im2col
from kerakit.ops.convolution import METHODS, cheapest_method
from tests.reference.convolution import convolution_by_loop

CASES = [
    ((7, 8), (3, 3), {"padding": 1}),
    ((9, 6), (3, 2), {"padding": "same", "strides": 2}),
    ((9, 8), (2, 3), {"strides": (2, 3), "padding": (2, 0), "groups": 2}),
    ((10, 9), (3, 3), {"strides": 2, "dilation_rate": 3, "padding": 2, "groups": 4}),
    ((8, 9), (3, 2), {"strides": (1, 3), "dilation_rate": (2, 1), "padding": "same"}),
    ((5, 6), (7, 9), {"padding": "same"}),
    ((6, 5), (1, 1), {"strides": 2}),
    ((4, 4), (3, 3), {"padding": 5, "strides": 3}),
]


def example(rng, sizes, kernel_size, options):
    w = rng.normal(size=(*kernel_size, 4 // options.get("groups", 1), 8))
    return rng.normal(size=(2, *sizes, 4)), w


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("sizes", "kernel_size", "options"), CASES)
def test_equals_the_loop_and_its_gradients(method, sizes, kernel_size, options, rng):
    x, w = example(rng, sizes, kernel_size, options)
    y = convolution_by_loop(x, w, **options)
    direction = [rng.normal(size=x.shape), rng.normal(size=w.shape)]
    slope = rng.normal(size=y.shape)
    # The convolution is linear in either argument: its differential is two convolutions.
    along = (
        convolution_by_loop(direction[0], w, **options),
        convolution_by_loop(x, direction[1], **options),
    )
    with gradients.float64_scope():

        @compiled
        def output_and_gradients(x, w, slope):
            found = gradients.gradient(
                lambda x, w: slope * convolution(x, w, method=method, **options), x, w
            )
            return convolution(x, w, method=method, **options), *found

        tensors = [ops.convert_to_tensor(a) for a in (x, w, slope)]
        found, *slopes = map(ops.convert_to_numpy, output_and_gradients(*tensors))
    np.testing.assert_allclose(found, y, rtol=1e-11, atol=1e-11)
    for gradient, step, difference in zip(slopes, direction, along, strict=True):
        assert gradient.shape == step.shape
        assert np.sum(gradient * step) == pytest.approx(np.sum(slope * difference), rel=1e-10)


@pytest.mark.parametrize("method", ["im2col", "fft"])
def test_gradient_check(method, rng):
    x, w = rng.normal(size=(1, 5, 4, 2)), rng.normal(size=(3, 2, 2, 2))
    report = gradients.check(
        lambda x, w: convolution(x, w, padding=1, method=method), x, w, max_entries=20
    )
    report.raise_if_failed()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="`gradient` keeps no graph there")
@pytest.mark.parametrize("method", ["im2col", "fft"])
def test_second_derivatives(method, rng):
    x, w = rng.normal(size=(1, 5, 4, 2)), rng.normal(size=(3, 2, 2, 2))

    def penalty(x, w):
        def energy(x):
            return convolution(x, w, padding=1, strides=(2, 1), method=method) ** 3

        return gradients.gradient(energy, x)[0] ** 2

    gradients.check(penalty, x, w, max_entries=8).raise_if_failed()


def test_im2col_is_the_windows(rng):
    x = rng.normal(size=(2, 7, 6, 3)).astype("float32")
    patches = ops.convert_to_numpy(im2col(x, (3, 2), strides=2, padding=(1, 0), dilation_rate=2))
    padded = np.pad(x, [(0, 0), (1, 1), (0, 0), (0, 0)])
    assert patches.shape == (2, 3, 2, 18)
    for i, j in np.ndindex(3, 2):
        window = padded[:, 2 * i : 2 * i + 5 : 2, 2 * j : 2 * j + 3 : 2]
        np.testing.assert_array_equal(patches[:, i, j], window.reshape(2, 18))


def test_half_precision_sums_in_float32(rng):
    """Over 25 products of 32 channels, half precision would lose two more digits."""
    x, w = rng.normal(size=(1, 8, 8, 32)), rng.normal(size=(5, 5, 32, 4)) / 28
    x, w = x.astype("float16"), w.astype("float16")
    expected = convolution_by_loop(x.astype("float64"), w.astype("float64"), padding=2)
    for method in ("im2col", "fft"):
        y = convolution(x, w, padding=2, method=method)
        assert keras.backend.standardize_dtype(y.dtype) == "float16"
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("size", "expected"), [(3, "direct"), (7, "fft"), (15, "fft"), (31, "fft")]
)
def test_auto_counts(size, expected):
    shapes = (4, 96, 96, 32), (size, size, 32, 32)
    assert cheapest_method(*shapes, padding="same") == expected


def test_auto_by_shapes_alone(rng):
    kernel = (7, 7, 32, 32)
    assert cheapest_method((None, 96, 96, 32), kernel) == "fft"  # an unknown batch counts as 8
    assert cheapest_method((4, None, None, 32), kernel) == "direct"
    assert cheapest_method((8, 7, 7, 256), (3, 3, 256, 256), padding=1) == "direct"
    x = rng.normal(size=(2, 32, 32, 8)).astype("float32")
    w = rng.normal(size=(21, 21, 8, 8)).astype("float32")
    assert cheapest_method(x.shape, w.shape, padding=10) == "fft"
    found = ops.convert_to_numpy(convolution(x, w, padding=10))
    np.testing.assert_array_equal(found, convolution(x, w, padding=10, method="fft"))
    expected = ops.convert_to_numpy(convolution(x, w, padding=10, method="direct"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


def test_refuses():
    x, w = np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 4))
    with pytest.raises(ValueError, match='`method` must be one of "direct", "im2col", "expl'):
        convolution(x, w, method="winograd")
    with pytest.raises(ValueError, match=r"`kernel` must be \(kh, kw, C / groups, K\), got shape"):
        convolution(x[0], w[0])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others know all sizes")
@pytest.mark.parametrize("method", ["im2col", "explicit_im2col", "fft"])
def test_refuses_unknown_sizes(method):
    import tensorflow as tf

    function = tf.function(lambda x: convolution(x, ops.ones((3, 3, 2, 4)), method=method))
    with pytest.raises(ValueError, match="static H, W and C, for a kernel with 2 spatial axes"):
        function.get_concrete_function(tf.TensorSpec((None, None, 8, 2)))
