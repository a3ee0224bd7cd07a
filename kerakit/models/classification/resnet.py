"""Residual networks: an identity beside every two convolutions."""

import keras
from keras import layers

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
        shortcut = _conv(x, filters, 1, stride, f"{name}_downsample_0")
        shortcut = _batch_norm(shortcut, f"{name}_downsample_1")
    x = _conv(x, filters, 3, stride, f"{name}_conv1")
    x = _batch_norm(x, f"{name}_bn1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = _conv(x, filters, 3, 1, f"{name}_conv2")
    x = _batch_norm(x, f"{name}_bn2")
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
    if stem == "imagenet":
        x = _conv(x, filters[0], 7, 2, "conv1")
    else:
        x = _conv(x, filters[0], 3, 1, "conv1")
    x = _batch_norm(x, "bn1")
    x = layers.ReLU(name="relu")(x)
    if stem == "imagenet":
        # Zeros are as good as -infinity around values that are never negative.
        x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = basic_block(x, filters[stage], stride, f"layer{stage + 1}_{block}")
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="fc")(x)
    return keras.Model(images, logits, name=name)


def _conv(x, filters, kernel, stride, name):
    # Keras's "same" pads only bottom and right at stride 2; the paper's code and
    # PyTorch pad both sides alike.
    if stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if stride > 1 else "same",
        use_bias=False,
        # He et al., Delving Deep into Rectifiers, 2015, Eq. 14: by fan-out.
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )(x)


def _batch_norm(x, name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
