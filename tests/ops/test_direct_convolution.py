import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.ops import direct_convolution
from tests.reference.convolution import convolution_by_loop

# (spatial sizes, kernel, options), in which stride 4 with dilation 6 leaves dilation beside
# strides once their common divisor is taken out, and (2, 1) with (1, 2) meet on no axis.
CASES = [
    ((11,), (3,), {"strides": 2, "padding": 1}),
    ((14,), (3,), {"strides": 4, "dilation_rate": 6, "padding": 3}),
    ((13,), (2,), {"strides": 2, "dilation_rate": 4, "groups": 2}),
    ((7, 8), (3, 2), {"padding": (1, 0), "groups": 4}),
    ((7, 8), (3, 3), {"padding": 2, "dilation_rate": 2}),
    ((6, 6), (3, 3), {"padding": 1, "strides": 2}),
    ((6, 9), (4, 3), {"padding": "same", "strides": 2, "dilation_rate": 3, "groups": 2}),
    ((9, 8), (2, 3), {"strides": (2, 1), "dilation_rate": (1, 2), "padding": "same"}),
    ((9, 8), (2, 3), {"strides": (2, 1), "groups": 4, "padding": "valid"}),
    ((9, 11), (3, 3), {"strides": (2, 3), "dilation_rate": (3, 2), "padding": (1, 2)}),
    ((4, 5, 6), (2, 3, 1), {"strides": 3, "padding": "same", "groups": 4}),
    ((5, 6, 4), (3, 1, 2), {"strides": (1, 2, 1), "dilation_rate": (2, 1, 3), "padding": 1}),
    ((4, 4, 4), (3, 3, 3), {"padding": 1}),
]


@pytest.mark.parametrize(("sizes", "kernel_size", "options"), CASES)
def test_equals_the_loop(sizes, kernel_size, options, rng):
    x = rng.normal(size=(2, *sizes, 4))
    w = rng.normal(size=(*kernel_size, 4 // options.get("groups", 1), 8))
    expected = convolution_by_loop(x, w, **options)
    with gradients.float64_scope():
        found = direct_convolution(x, w, **options)
        assert keras.backend.standardize_dtype(found.dtype) == "float64"
        np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-12, atol=1e-12)
    single = direct_convolution(x.astype("float32"), w.astype("float32"), **options)
    np.testing.assert_allclose(ops.convert_to_numpy(single), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sizes", "kernel_size", "options"), CASES[2::3])
def test_gradients(sizes, kernel_size, options, rng):
    x = rng.normal(size=(2, *sizes, 4))
    w = rng.normal(size=(*kernel_size, 4 // options.get("groups", 1), 8))
    report = gradients.check(lambda x, w: direct_convolution(x, w, **options), x, w, max_entries=20)
    report.raise_if_failed()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_stride_past_the_window_starts_at_the_first_position(rank):
    """Keras's "same" on TensorFlow in 3D and float64 starts at the second."""
    x = np.arange(9.0).reshape((1,) * rank + (9, 1))
    with gradients.float64_scope():
        y = direct_convolution(x, np.ones((1,) * rank + (1, 1)), strides=3, padding="same")
        assert ops.convert_to_numpy(y).ravel().tolist() == [0.0, 3.0, 6.0]


def test_unknown_sizes_are_no_matter_without_dilation():
    layer = keras.layers.Lambda(
        lambda x: direct_convolution(x, ops.ones((3, 3, 2, 4)), strides=2, padding=1)
    )
    assert layer(keras.Input((None, None, 2))).shape == (None, None, None, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "full"}, '`padding` must be "valid", "same", an integer of at least 0 or 2'),
        ({"padding": -1}, "`padding` must be an integer of at least 0 or 2 of them, got -1"),
        ({"padding": (1, 1, 1)}, "`padding` must be an integer of at least 0 or 2 of them"),
        ({"strides": 0}, "`strides` must be an integer of at least 1 or 2 of them, got 0"),
        ({"dilation_rate": 1.5}, "`dilation_rate` must be an integer of at least 1 or 2"),
        ({"dilation_rate": 4}, r"`inputs` must be at least as large as the window, got size \(5,"),
        ({"groups": 3}, "`groups` must be a positive integer that divides the output channels"),
        ({"groups": 2}, "`kernel` must have C / groups = 4 / 2 input channels, got shape"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        direct_convolution(np.ones((1, 5, 6, 4)), np.ones((3, 3, 4, 8)), **options)


def test_refuses_other_ranks():
    with pytest.raises(ValueError, match=r"`inputs` must be \(B, ..., C\) and `kernel`"):
        direct_convolution(np.ones((1, 5, 4)), np.ones((3, 3, 4, 8)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others know all sizes")
def test_refuses_unknown_sizes_where_strides_meet_dilation():
    import tensorflow as tf

    function = tf.function(
        lambda x: direct_convolution(x, ops.ones((3, 3, 2, 4)), strides=2, dilation_rate=2)
    )
    with pytest.raises(ValueError, match="static spatial sizes where strides and dilation"):
        function.get_concrete_function(tf.TensorSpec((None, None, 8, 2)))
