import keras
import numpy as np
import pytest

from kerakit.models.classification import resnet18
from kerakit.models.normalization import STATISTICS


def test_parameters_and_names_are_torchvisions():
    model = resnet18()
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == 11_689_512  # torchvision's table
    assert model.count_params() == 11_689_512 + 9_600
    names = {layer.name for layer in model.layers}
    assert {"conv1", "bn1", "layer1_0_conv1", "layer2_0_downsample_0", "layer4_1_bn2"} <= names
    assert not any("." in name for name in names)


def residual_network_by_loop(images, weights):
    """The forward pass in NumPy: explicit symmetric padding, one output pixel at a time."""

    def conv(x, kernel, stride, pad):
        size = kernel.shape[0]
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        rows = (x.shape[1] - size) // stride + 1
        columns = (x.shape[2] - size) // stride + 1
        out = np.empty((len(x), rows, columns, kernel.shape[-1]))
        for i in range(rows):
            for j in range(columns):
                window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
                out[:, i, j] = np.tensordot(window, kernel, 3)
        return out

    def bn(x, name):
        gamma, beta, mean, variance = weights[name]
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    mean, deviation = STATISTICS["imagenet"]
    x = (images / 255.0 - mean) / deviation
    x = np.maximum(bn(conv(x, weights["conv1"][0], 2, 3), "bn1"), 0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    rows, columns = (x.shape[1] - 1) // 2 + 1, (x.shape[2] - 1) // 2 + 1
    pooled = np.empty((len(x), rows, columns, x.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            pooled[:, i, j] = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2))
    x = pooled
    for stage in range(1, 5):
        for block in range(2):
            name = f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            shortcut = x
            if f"{name}_downsample_0" in weights:
                shortcut = conv(x, weights[f"{name}_downsample_0"][0], stride, 0)
                shortcut = bn(shortcut, f"{name}_downsample_1")
            y = np.maximum(bn(conv(x, weights[f"{name}_conv1"][0], stride, 1), f"{name}_bn1"), 0)
            y = bn(conv(y, weights[f"{name}_conv2"][0], 1, 1), f"{name}_bn2")
            x = np.maximum(y + shortcut, 0)
    kernel, bias = weights["fc"]
    return x.mean((1, 2)) @ kernel + bias


@pytest.mark.parametrize("size", [(32, 32), (45, 38)])
def test_logits_are_those_of_a_numpy_loop(size, rng):
    model = resnet18(input_shape=(*size, 3), num_classes=7, width=0.125)
    for layer in model.layers:  # statistics and offsets away from 0 and 1
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    images = rng.uniform(0, 255, (2, *size, 3)).astype("float32")
    expected = residual_network_by_loop(images.astype("float64"), weights)
    logits = model.predict(images, verbose=0)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_small_stem_keeps_the_resolution():
    model = resnet18(input_shape=(16, 16, 1), stem="small", normalization="image_max", width=0.125)
    assert model.get_layer("layer1_1_relu").output.shape == (None, 16, 16, 8)
    assert model.get_layer("layer4_1_relu").output.shape == (None, 2, 2, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "tiny"}, "`stem` must be one of"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"width": -1}, "`width` must be positive, got -1"),
        ({"normalization": "image"}, "`normalization` must be one of"),
        ({"input_shape": (32, 32, 1)}, "needs 3 channels, got 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        resnet18(**options)
