"""Residual networks: an identity beside every two or three convolutions."""

import keras
from keras import layers

from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

FILTERS = (64, 128, 256, 512)
EXPANSION = 4  # a bottleneck's last convolution has four times the filters
STEMS = ("imagenet", "small")
# Output stride -> dilation of each stage; a stage that dilates more does not halve the size.
DILATIONS = {32: (1, 1, 1, 1), 16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}


def basic_block(x, filters, stride, dilations, name):
    """Two 3 x 3 convolutions beside an identity (Fig. 5 left)."""
    first, second = dilations
    y = _conv(x, filters, 3, f"{name}_conv1", f"{name}_bn1", strides=stride, dilation=first)
    y = _conv(y, filters, 3, f"{name}_conv2", f"{name}_bn2", dilation=second, activation=None)
    return _beside(x, y, stride, name)


def bottleneck_block(x, filters, stride, dilations, name):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside an identity (Fig. 5 right)."""
    dilation, _ = dilations
    y = _conv(x, filters, 1, f"{name}_conv1", f"{name}_bn1")
    y = _conv(y, filters, 3, f"{name}_conv2", f"{name}_bn2", strides=stride, dilation=dilation)
    y = _conv(y, EXPANSION * filters, 1, f"{name}_conv3", f"{name}_bn3", activation=None)
    return _beside(x, y, stride, name)


# He et al., Deep Residual Learning for Image Recognition, 2016, Table 1: block, blocks a stage.
BLOCKS = {
    18: (basic_block, (2, 2, 2, 2)),
    34: (basic_block, (3, 4, 6, 3)),
    50: (bottleneck_block, (3, 4, 6, 3)),
    101: (bottleneck_block, (3, 4, 23, 3)),
    152: (bottleneck_block, (3, 8, 36, 3)),
}


def _builder(depth, parameters):
    def resnet(
        *,
        input_shape=(224, 224, 3),
        num_classes=1000,
        normalization="imagenet",
        stem="imagenet",
        output_stride=32,
        width=1.0,
        name=None,
    ):
        """One depth of the residual network.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            stem: `"imagenet"`: 7 x 7 convolution and 3 x 3 max pooling, each of stride 2.
                `"small"`: one 3 x 3 convolution of stride 1, for images of 8 to 64 pixels
                (He et al. 2016, Section 4.2).
            output_stride: Pixels of the image a cell of the last map under the stem "imagenet":
                32; or 16 or 8, where the last one or two stages keep the size and dilate their
                3 x 3 convolutions by 2 and 4 instead, for segmentation (Chen et al. 2017).
            width: Factor on every stage's filters (64, 128, 256, 512).
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016, Table 1
            and Fig. 5. Deviations: torchvision's, a bottleneck's stride stands in its 3 x 3
            convolution. Chen, Papandreou, Schroff and Adam, Rethinking Atrous Convolution for
            Semantic Image Segmentation, 2017, Section 3.1. Deviations: torchvision's, the first
            block of a stage has the dilation of the stage before.
        """
        return _resnet(
            depth, input_shape, num_classes, normalization, stem, output_stride, width, name
        )

    return member(
        resnet, f"resnet{depth}", f"Residual network of {depth} layers; {parameters:,} parameters."
    )


resnet18 = _builder(18, 11_689_512)
resnet34 = _builder(34, 21_797_672)
resnet50 = _builder(50, 25_557_032)
resnet101 = _builder(101, 44_549_160)
resnet152 = _builder(152, 60_192_808)


def _resnet(depth, input_shape, num_classes, normalization, stem, output_stride, width, name):
    check_classifier(num_classes, width=width)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = resnet_features(x, depth, stem=stem, output_stride=output_stride, width=width)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="fc")(x)
    return keras.Model(images, logits, name=name)


def resnet_features(x, depth, *, stem="imagenet", output_stride=32, width=1.0):
    """Adds a residual network without its head to a functional model.

    Args:
        x: Symbolic (B, H, W, C) normalised images.
        depth: One of `BLOCKS`.
        stem: As in `resnet18`; so are `output_stride` and `width`.

    Returns:
        Symbolic (B, D) means of the last maps.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if stem not in STEMS:
        raise ValueError(f"`stem` must be one of {STEMS}, got {stem!r}.")
    if output_stride not in DILATIONS:
        raise ValueError(
            f"`output_stride` must be one of {tuple(DILATIONS)}, got {output_stride!r}."
        )
    if depth not in BLOCKS:
        raise ValueError(f"`depth` must be one of {tuple(BLOCKS)}, got {depth!r}.")
    block, counts = BLOCKS[depth]
    filters = [scaled(f, width) for f in FILTERS]
    if stem == "imagenet":
        x = _conv(x, filters[0], 7, "conv1", "bn1", strides=2)
        x = PaddedMaxPooling2D(3, strides=2, padding=1, name="maxpool")(x)
    else:
        x = _conv(x, filters[0], 3, "conv1", "bn1")
    before = 1
    for stage, (count, dilation) in enumerate(zip(counts, DILATIONS[output_stride], strict=True)):
        for position in range(count):
            halves = stage > 0 and position == 0 and dilation == before
            block_name = f"layer{stage + 1}_{position}"
            x = block(x, filters[stage], 2 if halves else 1, (before, dilation), block_name)
            before = dilation
    return layers.GlobalAveragePooling2D(name="avgpool")(x)


def _beside(x, y, stride, name):
    """The sum with the identity, or with its projection where the shapes differ."""
    if stride != 1 or x.shape[-1] != y.shape[-1]:
        x = _conv(
            x,
            y.shape[-1],
            1,
            f"{name}_downsample_0",
            f"{name}_downsample_1",
            strides=stride,
            activation=None,
        )
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _conv(x, filters, kernel_size, name, bn_name, *, strides=1, dilation=1, activation="relu"):
    names = (name, bn_name) if activation is None else (name, bn_name, f"{name}_relu")
    return conv_bn_relu(
        x,
        filters,
        kernel_size=kernel_size,
        strides=strides,
        dilation_rate=dilation,
        activation=activation,
        names=names,
    )
