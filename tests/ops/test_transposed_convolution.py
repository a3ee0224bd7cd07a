import numpy as np
import pytest
from keras import ops

from kerakit.ops.direct_convolution import direct_convolution
from kerakit.ops.transposed_convolution import transposed_convolution


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    [(9, 3, 2, 1, 1), (8, 4, 2, 1, 1), (11, 3, 3, 2, 2), (7, 5, 1, 2, 1), (10, 2, 4, 0, 1)],
)
def test_is_the_adjoint_of_the_convolution(size, kernel, stride, padding, dilation, rng):
    """`<conv(x), y> = <x, conv_transpose(y)>` for all x and y, which no other map fulfils."""
    options = {"strides": stride, "padding": padding, "dilation_rate": dilation}
    x = rng.normal(size=(2, size, size + 1, 3)).astype("float32")
    weights = rng.normal(size=(kernel, kernel, 3, 4)).astype("float32")
    forward = ops.convert_to_numpy(direct_convolution(x, weights, **options))
    y = rng.normal(size=forward.shape).astype("float32")
    reach = (kernel - 1) * dilation + 1
    rest = [(n + 2 * padding - reach) % stride for n in x.shape[1:3]]
    back = transposed_convolution(y, weights, output_padding=rest, **options)
    assert tuple(back.shape) == x.shape
    left, right = np.sum(forward * y), np.sum(x * ops.convert_to_numpy(back))
    assert left == pytest.approx(right, rel=1e-4, abs=1e-3)


def transposed_by_loop(x, kernel, stride, padding, output_padding):
    """Each input, times the kernel, added at its place; then P go from both ends."""
    width = (len(x) - 1) * stride + len(kernel)
    whole = np.zeros(width + output_padding)
    for i, value in enumerate(x):
        whole[i * stride : i * stride + len(kernel)] += value * kernel
    return whole[padding : len(whole) - padding]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"),
    [(3, 1, 0, 0), (3, 2, 1, 1), (4, 2, 1, 0), (2, 3, 0, 2), (5, 3, 2, 1), (2, 4, 1, 3)],
)
def test_equals_the_loop(kernel, stride, padding, output_padding, rng):
    x, weights = rng.normal(size=6), rng.normal(size=kernel)
    found = transposed_convolution(
        x.reshape(1, 6, 1).astype("float32"),
        weights.reshape(kernel, 1, 1),
        strides=stride,
        padding=padding,
        output_padding=output_padding,
    )
    expected = transposed_by_loop(x, weights, stride, padding, output_padding)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-5, atol=1e-6)
