"""AlexNet: the first convolutional network to win ImageNet."""

import keras
from keras import layers

from kerakit.layers.adaptive_average_pooling import AdaptiveAveragePooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, scaled
from kerakit.models.flatten import flatten_channels_first
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, the one-tower
# form: name, filters, kernel, stride, padding; max pooling of 3 at stride 2 behind the names.
CONVOLUTIONS = (
    (0, 64, 11, 4, 2),
    (3, 192, 5, 1, 2),
    (6, 384, 3, 1, 1),
    (8, 256, 3, 1, 1),
    (10, 256, 3, 1, 1),
)
POOLED = (0, 3, 10)
HIDDEN = 4096


def alexnet(
    *,
    input_shape=(224, 224, 3),
    num_classes=1000,
    normalization="imagenet",
    drop_rate=0.5,
    width=1.0,
    name="alexnet",
):
    """AlexNet: five convolutions and three fully connected layers, 61,100,840 parameters.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255; H and W at least 95.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        drop_rate: Share of features dropped in training before each hidden layer, [0, 1).
        width: Factor on the filters and on the 4,096 hidden units.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural
        Networks, 2012. Deviations: torchvision's, the filters of Krizhevsky's one-tower form
        (2014) and no local response normalisation.
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    for number, filters, kernel, stride, padding in CONVOLUTIONS:
        x = conv_bn_relu(
            x,
            scaled(filters, width),
            kernel_size=kernel,
            strides=stride,
            padding=padding,
            norm=None,
            names=(f"features_{number}", f"features_{number + 1}"),
        )
        if number in POOLED:
            x = layers.MaxPooling2D(3, 2, name=f"features_{number + 2}")(x)
    x = AdaptiveAveragePooling2D(6, name="avgpool")(x)
    x = flatten_channels_first(x)
    for number in (1, 4):
        x = layers.Dropout(drop_rate, name=f"classifier_{number - 1}")(x)
        x = layers.Dense(
            scaled(HIDDEN, width),
            "relu",
            kernel_initializer="he_normal",
            name=f"classifier_{number}",
        )(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="classifier_6")(x)
    return keras.Model(images, logits, name=name)
