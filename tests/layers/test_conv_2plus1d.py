import numpy as np
import pytest

from kerakit.layers import Conv2Plus1D
from kerakit.layers.conv_2plus1d import factorised_filters
from tests.conformance.case import assert_close
from tests.golden.layers import FACTORISED, drawn, golden


def convolution(kernel):
    """PyTorch's (O, I, T, H, W) to Keras's (T, H, W, I, O)."""
    return np.transpose(kernel, (2, 3, 4, 1, 0))


@pytest.mark.parametrize("name", FACTORISED)
def test_is_torchvisions(name):
    size, channels, filters, stride = FACTORISED[name]
    layer = Conv2Plus1D(filters, 3, strides=stride)
    x = drawn(name, (2, *size, channels))
    layer.build(x.shape)
    middle = layer.mid_filters
    layer.spatial.set_weights([convolution(drawn(f"{name}.0.weight", (middle, channels, 1, 3, 3)))])
    layer.norm.set_weights(
        [
            drawn(f"{name}.1.weight", (middle,)),
            drawn(f"{name}.1.bias", (middle,)),
            drawn(f"{name}.1.running_mean", (middle,)),
            np.abs(drawn(f"{name}.1.running_var", (middle,))),
        ]
    )
    layer.temporal.set_weights([convolution(drawn(f"{name}.3.weight", (filters, middle, 3, 1, 1)))])
    expected = golden(name)
    assert_close(layer(x), expected, atol=1e-5 * np.abs(expected).max())
    assert layer.compute_output_shape(x.shape) == expected.shape


@pytest.mark.parametrize(
    ("channels", "filters", "middle"),
    # torchvision's r2plus1d_18, state_dict: layer1, layer2.0.conv1, layer3.0.conv1, layer4.0.conv1
    [(64, 64, 144), (64, 128, 230), (128, 256, 460), (256, 512, 921)],
)
def test_channels_between_are_torchvisions(channels, filters, middle):
    assert factorised_filters(channels, filters) == middle


@pytest.mark.parametrize(("channels", "filters", "t", "k"), [(64, 64, 3, 3), (32, 80, 5, 3)])
def test_has_the_weights_of_the_whole_kernel(channels, filters, t, k):
    layer = Conv2Plus1D(filters, (t, k, k))
    layer.build((None, 8, 8, 8, channels))
    whole = t * k * k * channels * filters
    parts = sum(int(np.prod(layer.kernel.shape)) for layer in (layer.spatial, layer.temporal))
    assert whole - (k * k * channels + t * filters) < parts <= whole  # M is rounded down


def test_names_are_torchvisions():
    layer = Conv2Plus1D(4, 3, name="layer1_0_conv1_0")
    layer.build((None, 3, 4, 4, 2))
    assert [w.path for w in layer.trainable_weights] == [
        "layer1_0_conv1_0/0/kernel",
        "layer1_0_conv1_0/1/gamma",
        "layer1_0_conv1_0/1/beta",
        "layer1_0_conv1_0/3/kernel",
    ]


def test_normalises_by_the_batch_in_training(rng):
    layer = Conv2Plus1D(3, 3)
    x = rng.normal(size=(2, 3, 4, 4, 2)).astype("float32")
    layer(x, training=True)
    assert np.abs(layer.norm.moving_mean).max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "`filters` must be a positive integer, got 0"),
        ({"kernel_size": (3, 3, 1)}, r"`kernel_size` must be \(t, k, k\), got \(3, 3, 1\)"),
        ({"mid_filters": 0}, "`mid_filters` must be a positive integer, got 0"),
        ({"kernel_size": 2}, "`padding` must be given where a window is even"),
        ({"strides": (1, 1)}, "`strides` must be an integer of at least 1 or 3 of them"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Conv2Plus1D(**{"filters": 4, "kernel_size": 3, **options})


def test_there_is_at_least_one_filter_between():
    assert Conv2Plus1D(1, (3, 1, 1))(np.ones((1, 3, 4, 4, 1))).shape[-1] == 1
