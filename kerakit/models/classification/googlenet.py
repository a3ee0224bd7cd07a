"""GoogLeNet: parallel paths of different filter sizes, side by side."""

import functools

import keras
from keras import layers

from kerakit.layers.adaptive_average_pooling import AdaptiveAveragePooling2D
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, scaled
from kerakit.models.flatten import flatten_channels_first
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Szegedy et al., Going Deeper with Convolutions, 2015, Table 1: the columns #1x1, #3x3 reduce,
# #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOLED_BEFORE = {"4a": ("maxpool3", 3), "5a": ("maxpool4", 2)}
AUXILIARY_BEHIND = {"4a": "aux1", "4d": "aux2"}
EPSILON = 1e-3


def googlenet(
    *,
    input_shape=(224, 224, 3),
    num_classes=1000,
    normalization="inception",
    third_branch=3,
    auxiliary_heads=False,
    drop_rate=0.2,
    width=1.0,
    name="googlenet",
):
    """GoogLeNet with batch normalisation: nine inception modules; 6,624,904 parameters.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255; H and W at least 32.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`. Torchvision's
            published weights are for "inception".
        third_branch: Kernel size of the modules' third branch: 5, the paper's, or 3, which
            torchvision and the published weights have.
        auxiliary_heads: Whether to give the two auxiliary classifiers too, for training with
            0.3 of their losses (Section 5): 13,004,888 parameters.
        drop_rate: Share of features dropped in training before the last layer, [0, 1). The
            paper has 0.4.
        width: Factor on all filters.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names; with
        auxiliary heads to a dict of `logits`, `aux1` and `aux2`, (B, K) each.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Szegedy et al., Going Deeper with Convolutions, 2015, Table 1 and Section 5. Deviations:
        torchvision's, batch normalisation in place of local response normalisation, and
        `third_branch=3`.
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    if third_branch not in (3, 5):
        raise ValueError(f"`third_branch` must be 3 or 5, got {third_branch!r}.")
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = _conv(x, scaled(64, width), 7, "conv1", strides=2)
    x = _max_pool(x, 3, "maxpool1")
    x = _conv(x, scaled(64, width), 1, "conv2")
    x = _conv(x, scaled(192, width), 3, "conv3")
    x = _max_pool(x, 3, "maxpool2")
    outputs = {}
    for module, filters in INCEPTIONS.items():
        if module in POOLED_BEFORE:
            pool, size = POOLED_BEFORE[module]
            x = _max_pool(x, size, pool)
        filters = [scaled(f, width) for f in filters]
        x = inception(x, filters, third_branch, f"inception{module}")
        if auxiliary_heads and module in AUXILIARY_BEHIND:
            head = AUXILIARY_BEHIND[module]
            outputs[head] = _auxiliary_head(x, num_classes, width, head)
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    x = layers.Dropout(drop_rate, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="fc")(x)
    return keras.Model(images, {"logits": logits, **outputs} if outputs else logits, name=name)


def inception(x, filters, third_branch, name):
    """Four branches on one input, their channels side by side (Fig. 2b)."""
    one, reduce_3, three, reduce_5, five, projected = filters
    second = _conv(x, reduce_3, 1, f"{name}_branch2_0")
    third = _conv(x, reduce_5, 1, f"{name}_branch3_0")
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_branch4_0")(x)
    return layers.Concatenate(name=f"{name}_concat")(
        [
            _conv(x, one, 1, f"{name}_branch1"),
            _conv(second, three, 3, f"{name}_branch2_1"),
            _conv(third, five, third_branch, f"{name}_branch3_1"),
            _conv(pooled, projected, 1, f"{name}_branch4_1"),
        ]
    )


def _auxiliary_head(x, num_classes, width, name):
    x = AdaptiveAveragePooling2D(4, name=f"{name}_avgpool")(x)
    x = _conv(x, scaled(128, width), 1, f"{name}_conv")
    x = flatten_channels_first(x, name=f"{name}_flatten")
    x = layers.Dense(scaled(1024, width), "relu", name=f"{name}_fc1")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return layers.Dense(num_classes, dtype=logits_dtype(), name=f"{name}_fc2")(x)


def _conv(x, filters, kernel_size, name, strides=1):
    return conv_bn_relu(
        x,
        filters,
        kernel_size=kernel_size,
        strides=strides,
        norm=functools.partial(BatchNormalization, epsilon=EPSILON),
        names=(f"{name}_conv", f"{name}_bn", f"{name}_relu"),
    )


def _max_pool(x, size, name):
    """Stride 2, the last window over the edge where one fits in part (Caffe's rounding up)."""
    over = [(0, (-(-max(n - size, 0) // 2)) * 2 + size - n) for n in x.shape[1:3]]
    if any(after for _, after in over):
        # Zeros are as good as -infinity around values that are never negative.
        x = layers.ZeroPadding2D(tuple(over), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(size, 2, name=name)(x)
