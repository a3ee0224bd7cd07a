"""What the sheet says of convolution and pooling beyond the formulas, on small cases."""

import itertools

import numpy as np
import pytest
from keras import layers, ops

from kerakit import gradients
from kerakit.layers import PaddedConv2D, PaddedDepthwiseConv2D
from kerakit.ops.direct_convolution import direct_convolution


def convolved(x, kernel, **options):
    return ops.convert_to_numpy(direct_convolution(x, kernel, **options))


def far_apart(one, other):
    """Distance of two arrays over their size."""
    return np.linalg.norm(one - other) / np.linalg.norm(one)


@pytest.fixture
def image(rng):
    return rng.normal(size=(1, 16, 16, 3)).astype("float32")


@pytest.fixture
def kernel(rng):
    return rng.normal(size=(3, 3, 3, 5)).astype("float32")


@pytest.mark.parametrize("shift", [(1, 0), (2, 3), (-4, 1)])
def test_a_shifted_image_gives_a_shifted_map(shift, image, kernel):
    """Exactly, where no window reaches over the edge that the shift wraps round."""
    moved = convolved(np.roll(image, shift, (1, 2)), kernel, padding=1)
    expected = np.roll(convolved(image, kernel, padding=1), shift, (1, 2))
    inside = slice(5, -5)
    np.testing.assert_allclose(
        moved[:, inside, inside], expected[:, inside, inside], rtol=1e-5, atol=1e-5
    )
    assert far_apart(moved, expected) > 1e-3  # not at the edge


def test_a_stride_keeps_only_shifts_by_itself(image, kernel):
    still = convolved(image, kernel, strides=2)
    by_two = convolved(np.roll(image, 2, 1), kernel, strides=2)
    by_one = convolved(np.roll(image, 1, 1), kernel, strides=2)
    np.testing.assert_allclose(by_two[:, 1:], still[:, :-1], rtol=1e-5, atol=1e-5)
    assert far_apart(by_one[:, 1:], still[:, :-1]) > 0.5


def test_a_turned_or_enlarged_image_gives_another_map(image, kernel):
    still = convolved(image, kernel, padding=1)
    turned = convolved(np.rot90(image, axes=(1, 2)), kernel, padding=1)
    assert far_apart(turned, np.rot90(still, axes=(1, 2))) > 0.5
    twice = convolved(image.repeat(2, 1).repeat(2, 2), kernel, padding=1)
    assert far_apart(twice, still.repeat(2, 1).repeat(2, 2)) > 0.5
    # A kernel that looks the same when turned makes up for it: the lack is the kernel's.
    round_ = np.ones((3, 3, 3, 1), "float32")
    turned = convolved(np.rot90(image, axes=(1, 2)), round_, padding=1)
    expected = np.rot90(convolved(image, round_, padding=1), axes=(1, 2))
    np.testing.assert_allclose(turned, expected, rtol=1e-4, atol=1e-5)


def locally_connected(x, kernels):
    """A kernel of its own at each place: (H_out, W_out, F, F, C, K), one place at a time."""
    rows, columns, size = kernels.shape[:3]
    y = np.empty((len(x), rows, columns, kernels.shape[-1]))
    for i, j in np.ndindex(rows, columns):
        y[:, i, j] = np.tensordot(x[:, i : i + size, j : j + size], kernels[i, j], 3)
    return y


def test_sharing_weights_makes_local_connections_a_convolution(image, kernel):
    kernels = np.broadcast_to(kernel, (14, 14, *kernel.shape))
    np.testing.assert_allclose(
        locally_connected(image, kernels), convolved(image, kernel), rtol=1e-4, atol=1e-4
    )
    other = kernels * np.linspace(1, 2, 14)[:, None, None, None, None, None]
    assert far_apart(locally_connected(image, other), convolved(image, kernel)) > 0.3


@pytest.mark.parametrize(
    ("size", "channels", "filters", "window"), [(32, 3, 8, 3), (16, 4, 5, 5), (28, 1, 6, 7)]
)
def test_shared_weights_are_fewer(size, channels, filters, window):
    output = size - window + 1
    shared = PaddedConv2D(filters, window)
    shared.build((None, size, size, channels))
    dense = layers.Dense(output * output * filters)
    dense.build((None, size * size * channels))
    assert shared.count_params() == (window**2 * channels + 1) * filters
    local = output**2 * (window**2 * channels + 1) * filters
    assert dense.count_params() == (size**2 * channels + 1) * output**2 * filters
    assert shared.count_params() * output**2 == local < dense.count_params()


@pytest.mark.slow
def test_a_neuron_sees_its_window_alone(image, kernel):
    def one(x):
        return direct_convolution(x, kernel, padding=1)[:, 6, 9]

    (slope,) = gradients.gradient(one, image)
    seen = np.abs(ops.convert_to_numpy(slope)).sum((0, 3)) > 0
    rows, columns = np.nonzero(seen)
    assert set(zip(rows, columns, strict=True)) == set(itertools.product((5, 6, 7), (8, 9, 10)))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_output_size(stride, padding):
    """(W - F + 2 P) / S + 1, for all W and F, rounded down where it does not come out even."""
    for width, size in itertools.product((5, 6, 9), (1, 2, 3, 5)):
        x, kernel = np.zeros((1, width, 1), "float32"), np.zeros((size, 1, 4), "float32")
        y = direct_convolution(x, kernel, strides=stride, padding=padding)
        assert tuple(y.shape) == (1, (width - size + 2 * padding) // stride + 1, 4)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_dilation_reaches_further_without_weights(size, dilation, rng):
    """`F_eff = F + (F - 1) (d - 1)`: as a kernel of that size with zeros between."""
    reach = size + (size - 1) * (dilation - 1)
    x = rng.normal(size=(1, 17, 15, 2)).astype("float32")
    kernel = rng.normal(size=(size, size, 2, 3)).astype("float32")
    spread = np.zeros((reach, reach, 2, 3), "float32")
    spread[::dilation, ::dilation] = kernel
    found = convolved(x, kernel, dilation_rate=dilation)
    assert found.shape == (1, 17 - reach + 1, 15 - reach + 1, 3)
    np.testing.assert_allclose(found, convolved(x, spread), rtol=1e-4, atol=1e-5)


def test_one_by_one_is_a_dense_layer_on_each_pixel(image):
    conv, dense = PaddedConv2D(5, 1, bias_initializer="normal"), layers.Dense(5)
    y = conv(image)
    dense.build((None, 3))
    kernel, bias = conv.get_weights()
    dense.set_weights([kernel[0, 0], bias])
    np.testing.assert_allclose(y, dense(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("window", "channels", "filters"), [(3, 8, 16), (5, 4, 12)])
def test_depthwise_separable(window, channels, filters, rng):
    """Its two stages are Keras's one layer, of F^2 D_in + D_in D_out weights."""
    x = rng.normal(size=(2, 9, 8, channels)).astype("float32")
    whole = layers.SeparableConv2D(filters, window, padding="same", use_bias=False)
    y = whole(x)
    assert whole.count_params() == window**2 * channels + channels * filters
    depthwise = PaddedDepthwiseConv2D(window, padding=None, use_bias=False)
    pointwise = PaddedConv2D(filters, 1, use_bias=False)
    pointwise(depthwise(x))
    for stage, weights in zip((depthwise, pointwise), whole.get_weights(), strict=True):
        stage.set_weights([weights])
    np.testing.assert_allclose(pointwise(depthwise(x)), y, rtol=1e-4, atol=1e-5)
    full = PaddedConv2D(filters, window, use_bias=False)
    full.build(x.shape)
    assert whole.count_params() / full.count_params() == pytest.approx(1 / filters + 1 / window**2)


def test_max_pooling_sends_the_gradient_to_the_maximum(rng):
    x = rng.normal(size=(2, 6, 8, 3)).astype("float32")
    (slope,) = gradients.gradient(layers.MaxPooling2D(2), x)
    windows = x.reshape(2, 3, 2, 4, 2, 3)
    expected = (windows == windows.max((2, 4), keepdims=True)).reshape(x.shape)
    np.testing.assert_array_equal(slope, expected)


@pytest.mark.parametrize("size", [2, 3])
def test_average_pooling_spreads_the_gradient_evenly(size, rng):
    x = rng.normal(size=(2, 6, 6, 3)).astype("float32")
    upstream = rng.normal(size=(2, 6 // size, 6 // size, 3)).astype("float32")
    (slope,) = gradients.gradient(lambda x: layers.AveragePooling2D(size)(x) * upstream, x)
    expected = upstream.repeat(size, 1).repeat(size, 2) / size**2
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_pooling_has_the_size_of_an_unpadded_convolution():
    for width, size, stride in itertools.product((6, 7, 9), (2, 3), (1, 2, 3)):
        pooled = ops.max_pool(np.zeros((1, width, 1), "float32"), size, stride, "valid")
        assert pooled.shape[1] == (width - size) // stride + 1
