import functools

import keras
import numpy as np
import pytest

from kerakit.layers import BatchNormalization, FrozenBatchNormalization
from kerakit.models.conv_bn_relu import conv_bn_relu
from tests.conformance.case import assert_close


def model(shape, filters, **options):
    inputs = keras.Input(shape)
    return keras.Model(inputs, conv_bn_relu(inputs, filters, **options))


@pytest.mark.parametrize(
    ("shape", "filters", "options", "parameters", "output"),
    [
        # ResNet's stem and a block's second convolution; kernel and 4 numbers a channel.
        ((32, 32, 3), 64, {"kernel_size": 7, "strides": 2}, 7 * 7 * 3 * 64 + 256, (16, 16, 64)),
        ((8, 8, 4), 4, {"kernel_size": 3, "activation": None}, 9 * 16 + 16, (8, 8, 4)),
        # VGG: bias, no norm.
        ((8, 8, 3), 6, {"kernel_size": 3, "norm": None}, (27 + 1) * 6, (8, 8, 6)),
        # MobileNetV2: depthwise; ResNeXt: groups; DeepLab: dilation.
        (
            (9, 9, 8),
            8,
            {"kernel_size": 3, "strides": 2, "groups": 8, "activation": "relu6"},
            72 + 32,
            (5, 5, 8),
        ),
        ((8, 8, 8), 4, {"kernel_size": 3, "groups": 2}, 9 * 4 * 4 + 16, (8, 8, 4)),
        ((8, 8, 2), 4, {"kernel_size": 3, "dilation_rate": 2}, 9 * 8 + 16, (8, 8, 4)),
        # C3D, SlowFast.
        (
            (6, 8, 8, 3),
            4,
            {"kernel_size": (3, 5, 5), "strides": (1, 2, 2)},
            75 * 12 + 16,
            (6, 4, 4, 4),
        ),
        # LeNet, U-Net: without padding.
        ((8, 8, 2), 4, {"kernel_size": 3, "padding": 0, "use_bias": True}, 76 + 16, (6, 6, 4)),
    ],
)
def test_parameters_and_shapes(shape, filters, options, parameters, output):
    given = {"norm": 1, "activation": 1, **options}
    names = ["c", *(["n"] if given["norm"] else []), *(["a"] if given["activation"] else [])]
    block = model(shape, filters, names=names, **options)
    assert block.count_params() == parameters
    assert block.output.shape == (None, *output)
    assert [layer.name for layer in block.layers[1:]] == names


def test_is_its_three_steps(rng):
    x = rng.normal(size=(2, 8, 9, 3)).astype("float32") * 4
    block = model(
        x.shape[1:], 5, kernel_size=3, strides=2, activation="relu6", names=("conv", "bn", "relu6")
    )
    weights = [rng.uniform(0.5, 1.5, w.shape) for w in block.get_weights()]
    block.set_weights(weights)
    kernel, gamma, beta, mean, variance = weights
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.empty((2, 4, 5, 5))
    for row, column in np.ndindex(4, 5):
        window = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        y[:, row, column] = np.tensordot(window, kernel, 3)
    y = np.clip((y - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0, 6)
    assert 0.1 < (y == 0).mean() < 0.9
    assert_close(block(x), y, rtol=1e-4, atol=1e-4)


def test_norms_by_whoever_makes_them():
    googlenet = functools.partial(BatchNormalization, epsilon=1e-3)
    names = ("inception3a_branch1_conv", "inception3a_branch1_bn", "inception3a_branch1_relu")
    block = model((4, 4, 2), 3, kernel_size=1, norm=googlenet, names=names)
    assert block.get_layer("inception3a_branch1_bn").epsilon == 1e-3
    frozen = model((4, 4, 2), 3, kernel_size=1, norm=FrozenBatchNormalization, names=names)
    assert len(frozen.trainable_weights) == 1


def test_starts_as_he_says():
    block = model((8, 8, 64), 128, kernel_size=3, activation=None, names=("conv", "bn"))
    kernel = keras.ops.convert_to_numpy(block.get_layer("conv").kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.02)
    assert np.abs(kernel).max() > 3.5 * kernel.std()  # nothing cut off


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("conv", "bn")}, "`names` must be 3, one for the convolution, .* got"),
        ({"names": "abc"}, "`names` must be 3, one for the convolution, .* got 'abc'"),
        ({"activation": None, "names": ("a", "b", "c")}, "`names` must be 2"),
        ({"kernel_size": 2, "names": ("a", "b", "c")}, "`padding` must be given where a window"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        model((8, 8, 3), 4, **{"kernel_size": 3, **options})


def test_images_or_clips_are_needed():
    with pytest.raises(ValueError, match=r"`x` must be \(B, H, W, C\) or .* got shape \(None, 8\)"):
        model((8,), 4, kernel_size=3, names=("a", "b", "c"))
