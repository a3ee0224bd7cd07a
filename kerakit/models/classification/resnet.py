"""Residual networks: an identity beside every two convolutions."""

import keras
from keras import layers

from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.normalization import normalize

# He et al., Deep Residual Learning for Image Recognition, 2016, Table 1: blocks a stage.
BLOCKS = {18: (2, 2, 2, 2)}
FILTERS = (64, 128, 256, 512)
STEMS = ("imagenet", "small")


def resnet18(
    *,
    input_shape=(224, 224, 3),
    num_classes=1000,
    normalization="imagenet",
    stem="imagenet",
    width=1.0,
    name="resnet18",
):
    """18-layer residual network.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        stem: `"imagenet"`: 7 x 7 convolution and 3 x 3 max pooling, each of stride 2.
            `"small"`: one 3 x 3 convolution of stride 1, for images of 8 to 64 pixels
            (He et al. 2016, Section 4.2).
        width: Factor on every stage's filters (64, 128, 256, 512).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits. At width 1 and
        1,000 classes it has torchvision's 11,689,512 parameters, plus 9,600 moving
        statistics of its batch normalisation, under torchvision's names.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016,
        Table 1 and Fig. 5 left. Deviations: none; as in torchvision, the stride
        stands in a block's first convolution.
    """
    return _resnet(18, input_shape, num_classes, normalization, stem, width, name)


def basic_block(x, filters, stride, name):
    """Two 3 x 3 convolutions beside an identity (Fig. 5 left)."""
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        names = (f"{name}_downsample_0", f"{name}_downsample_1")
        shortcut = conv_bn_relu(
            x, filters, kernel_size=1, strides=stride, activation=None, names=names
        )
    names = (f"{name}_conv1", f"{name}_bn1", f"{name}_relu1")
    x = conv_bn_relu(x, filters, kernel_size=3, strides=stride, names=names)
    names = (f"{name}_conv2", f"{name}_bn2")
    x = conv_bn_relu(x, filters, kernel_size=3, activation=None, names=names)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu2")(x)


def _resnet(depth, input_shape, num_classes, normalization, stem, width, name):
    if stem not in STEMS:
        raise ValueError(f"`stem` must be one of {STEMS}, got {stem!r}.")
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"`num_classes` must be a positive integer, got {num_classes!r}.")
    if width <= 0:
        raise ValueError(f"`width` must be positive, got {width}.")
    filters = [max(1, round(f * width)) for f in FILTERS]

    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
    names = ("conv1", "bn1", "relu")
    x = conv_bn_relu(x, filters[0], kernel_size=kernel, strides=stride, names=names)
    if stem == "imagenet":
        x = PaddedMaxPooling2D(3, strides=2, padding=1, name="maxpool")(x)
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = basic_block(x, filters[stage], stride, f"layer{stage + 1}_{block}")
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="fc")(x)
    return keras.Model(images, logits, name=name)
