"""MobileNetV2: depthwise convolutions between narrow residual ends."""

import keras
from keras import layers

from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018, Table 2:
# expansion t, channels c, repeats n, stride s.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280


def mobilenet_v2(
    *,
    input_shape=(224, 224, 3),
    num_classes=1000,
    normalization="imagenet",
    drop_rate=0.2,
    width=1.0,
    name="mobilenet_v2",
):
    """MobileNetV2: inverted residuals with linear bottlenecks; 3,504,872 parameters.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        drop_rate: Share of features dropped in training before the last layer, [0, 1).
        width: Factor on all channels but the last convolution's 1,280, which only a width
            above 1 raises; made multiples of 8.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Sandler, Howard, Zhu, Zhmoginov and Chen, MobileNetV2: Inverted Residuals and Linear
        Bottlenecks, 2018, Tables 1 and 2. Deviations: none.
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = _conv(x, by_eight(STEM * width), 3, "features_0", strides=2)
    position = 1
    for expansion, channels, repeats, stride in BLOCKS:
        for repeat in range(repeats):
            x = inverted_residual(
                x,
                by_eight(channels * width),
                expansion,
                stride if repeat == 0 else 1,
                f"features_{position}",
            )
            position += 1
    x = _conv(x, by_eight(LAST * max(1.0, width)), 1, f"features_{position}")
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    x = layers.Dropout(drop_rate, name="classifier_0")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="classifier_1")(x)
    return keras.Model(images, logits, name=name)


def inverted_residual(x, channels, expansion, stride, name):
    """Widen (1 x 1), filter by channel (3 x 3), narrow without activation (Table 1)."""
    y, part = x, 0
    if expansion > 1:
        y = _conv(y, x.shape[-1] * expansion, 1, f"{name}_conv_0")
        part = 1
    y = _conv(y, y.shape[-1], 3, f"{name}_conv_{part}", strides=stride, groups=y.shape[-1])
    names = (f"{name}_conv_{part + 1}", f"{name}_conv_{part + 2}")
    y = conv_bn_relu(y, channels, kernel_size=1, activation=None, names=names)
    if stride == 1 and x.shape[-1] == channels:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def by_eight(channels):
    """The nearest multiple of 8, at least 8, and not under 0.9 of what was asked for."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _conv(x, filters, kernel_size, name, *, strides=1, groups=1):
    return conv_bn_relu(
        x,
        filters,
        kernel_size=kernel_size,
        strides=strides,
        groups=groups,
        activation="relu6",
        names=(f"{name}_0", f"{name}_1", f"{name}_2"),
    )
