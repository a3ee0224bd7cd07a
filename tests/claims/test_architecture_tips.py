"""The sheet's advice on architectures, in numbers."""

import keras
import numpy as np
from keras import layers, ops

from kerakit import cost
from kerakit.cost import formulas

CHANNELS = 16


def network(*kernel_sizes, dtype="float32"):
    """Convolutions without bias on one size, each with a ReLU."""
    convolutions = [
        layers.Conv2D(CHANNELS, k, padding="same", use_bias=False, activation="relu", dtype=dtype)
        for k in kernel_sizes
    ]
    return keras.Sequential([keras.Input((24, 24, CHANNELS), dtype=dtype), *convolutions])


def test_three_small_filters_see_what_one_large_one_does_with_fewer_weights():
    stack, single = cost.report(network(3, 3, 3)), cost.report(network(7))
    assert stack.receptive_field == single.receptive_field == (7, 7)
    # Simonyan and Zisserman 2015, Section 2.3: 27 C^2 against 49 C^2, 81 % more.
    assert (stack.parameters, single.parameters) == (27 * CHANNELS**2, 49 * CHANNELS**2)
    assert (stack.macs, single.macs) == (24**2 * 27 * CHANNELS**2, 24**2 * 49 * CHANNELS**2)


def test_the_stack_has_more_nonlinearities():
    """Along a line through two images a ReLU network is straight but where a unit switches."""
    rng = np.random.default_rng(3)
    start, end = rng.normal(size=(2, 24, 24, CHANNELS))
    share = np.linspace(0, 1, 801)[:, None, None, None]
    bends = []
    for kernel_sizes in ((3, 3, 3), (7,)):
        model = network(*kernel_sizes, dtype="float64")
        model.set_weights(
            [rng.normal(size=w.shape) / np.sqrt(w.shape[0] ** 2 * 8) for w in model.weights]
        )
        # Not `predict`, which takes float32.
        middle = ops.convert_to_numpy(model(start * (1 - share) + end * share))[:, 12, 12]
        second = np.abs(np.diff(middle, n=2, axis=0)).max(axis=1)
        bends.append(int((second > 1e-9).sum()))
    # Of one layer each channel switches once at most, between two steps.
    assert bends[1] <= 2 * CHANNELS
    assert bends[0] > 5 * bends[1]


def test_one_by_one_adds_a_nonlinearity():
    """Whether exactly one of two channels is on: no sum of the channels tells it, two 1 x 1 do."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32").reshape(4, 1, 1, 2)
    is_one = np.array([0, 1, 1, 0])
    model = keras.Sequential(
        [
            keras.Input((1, 1, 2)),
            layers.Conv2D(2, 1, activation="relu"),
            layers.Conv2D(1, 1),
        ]
    )
    first = np.array([[1.0, 1.0], [1.0, 1.0]]).reshape(1, 1, 2, 2), np.array([0.0, -1.0])
    second = np.array([1.0, -2.0]).reshape(1, 1, 2, 1), np.zeros(1)
    model.set_weights([*first, *second])
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)).ravel(), is_one, atol=1e-6)
    # The best affine map of the channels answers 1/2 to everything.
    design = np.c_[x.reshape(4, 2), np.ones(4)]
    best = np.linalg.lstsq(design, is_one, rcond=None)[0]
    np.testing.assert_allclose(design @ best, 0.5, atol=1e-12)


def test_one_by_one_reduces_channels():
    model = keras.Sequential([keras.Input((5, 7, 64)), layers.Conv2D(16, 1, use_bias=False)])
    assert model.output_shape == (None, 5, 7, 16)
    # A 3 x 3 convolution behind it has a quarter of the weights.
    assert formulas.convolution_parameters((3, 3), 16, 64, bias=False) * 4 == (
        formulas.convolution_parameters((3, 3), 64, 64, bias=False)
    )


def test_fully_connected_layers_hold_most_parameters():
    """VGG-16: three dense layers hold 89 % of the 138,357,544 parameters."""
    dense = sum(
        formulas.dense_parameters(*sizes) for sizes in ((25_088, 4096), (4096, 4096), (4096, 1000))
    )
    assert dense == 123_642_856
    assert 0.89 < dense / 138_357_544 < 0.9
    # Global average pooling would leave one of 512 inputs.
    assert formulas.dense_parameters(512, 1000) < 0.005 * dense
