"""Densely connected networks: each layer sees the outputs of all before it in its block."""

import keras
from keras import layers

from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Huang et al., Densely Connected Convolutional Networks, 2017, Table 1: layers a block.
LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
GROWTH = 32
STEM = 64
BOTTLENECK = 4  # a layer's 1 x 1 convolution has 4 k filters (Section 3, bottleneck layers)


def _builder(depth, parameters):
    def densenet(
        *,
        input_shape=(224, 224, 3),
        num_classes=1000,
        normalization="imagenet",
        drop_rate=0.0,
        width=1.0,
        name=None,
    ):
        """One depth of the densely connected network.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W at least 32.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            drop_rate: Share of each layer's outputs dropped in training, [0, 1).
            width: Factor on the growth rate (32) and the stem's filters (64).
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks,
            2017, Table 1 (DenseNet-BC, growth rate 32). Deviations: none.
        """
        return _densenet(depth, input_shape, num_classes, normalization, drop_rate, width, name)

    return member(
        densenet,
        f"densenet{depth}",
        f"Densely connected network of {depth} layers; {parameters:,} parameters.",
    )


densenet121 = _builder(121, 7_978_856)
densenet169 = _builder(169, 14_149_480)
densenet201 = _builder(201, 20_013_928)


def dense_layer(x, growth, drop_rate, name):
    """BN-ReLU-Conv(1 x 1)-BN-ReLU-Conv(3 x 3), its output beside its input (Eq. 2)."""
    y = _bn_relu(x, f"{name}_norm1")
    names = (f"{name}_conv1", f"{name}_norm2", f"{name}_relu2")
    y = conv_bn_relu(y, BOTTLENECK * growth, kernel_size=1, names=names)
    y = _conv(y, growth, 3, f"{name}_conv2")
    if drop_rate:
        y = layers.Dropout(drop_rate, name=f"{name}_drop")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(x, name):
    """Between two blocks: half the channels, half the resolution."""
    x = _bn_relu(x, f"{name}_norm")
    x = _conv(x, x.shape[-1] // 2, 1, f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _densenet(depth, input_shape, num_classes, normalization, drop_rate, width, name):
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    growth = scaled(GROWTH, width)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    names = ("features_conv0", "features_norm0", "features_relu0")
    x = conv_bn_relu(x, scaled(STEM, width), kernel_size=7, strides=2, names=names)
    x = PaddedMaxPooling2D(3, strides=2, padding=1, name="features_pool0")(x)
    for block, count in enumerate(LAYERS[depth], start=1):
        for layer in range(1, count + 1):
            x = dense_layer(x, growth, drop_rate, f"features_denseblock{block}_denselayer{layer}")
        if block < len(LAYERS[depth]):
            x = transition(x, f"features_transition{block}")
    x = _bn_relu(x, "features_norm5")
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="classifier")(x)
    return keras.Model(images, logits, name=name)


def _bn_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(BatchNormalization(name=name)(x))


def _conv(x, filters, kernel_size, name):
    return conv_bn_relu(
        x,
        filters,
        kernel_size=kernel_size,
        norm=None,
        activation=None,
        use_bias=False,
        names=(name,),
    )
