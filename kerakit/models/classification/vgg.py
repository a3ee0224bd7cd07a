"""VGG: stacks of 3 x 3 convolutions."""

import keras
from keras import layers

from kerakit.layers.adaptive_average_pooling import AdaptiveAveragePooling2D
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.flatten import flatten_channels_first
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Simonyan and Zisserman, Very Deep Convolutional Networks, 2015, Table 1, columns A, B, D and E:
# convolutions before each max pooling.
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
HIDDEN = 4096


def _builder(depth, *, batch_norm, parameters):
    def vgg(
        *,
        input_shape=(224, 224, 3),
        num_classes=1000,
        normalization="imagenet",
        drop_rate=0.5,
        width=1.0,
        name=None,
    ):
        """One depth of VGG.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W at least 64.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            drop_rate: Share of features dropped in training after each hidden layer, [0, 1).
            width: Factor on the filters and on the 4,096 hidden units.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, K) logits, under torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image
            Recognition, 2015, Table 1. Deviations: none; as in torchvision, features of another
            size than 7 x 7 are pooled to it.
        """
        return _vgg(
            depth, batch_norm, input_shape, num_classes, normalization, drop_rate, width, name
        )

    suffix, also = ("_bn", " with batch normalisation") if batch_norm else ("", "")
    return member(
        vgg, f"vgg{depth}{suffix}", f"VGG of {depth} layers{also}; {parameters:,} parameters."
    )


vgg11 = _builder(11, batch_norm=False, parameters=132_863_336)
vgg13 = _builder(13, batch_norm=False, parameters=133_047_848)
vgg16 = _builder(16, batch_norm=False, parameters=138_357_544)
vgg19 = _builder(19, batch_norm=False, parameters=143_667_240)
vgg11_bn = _builder(11, batch_norm=True, parameters=132_868_840)
vgg13_bn = _builder(13, batch_norm=True, parameters=133_053_736)
vgg16_bn = _builder(16, batch_norm=True, parameters=138_365_992)
vgg19_bn = _builder(19, batch_norm=True, parameters=143_678_248)


def _vgg(depth, batch_norm, input_shape, num_classes, normalization, drop_rate, width, name):
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = vgg_features(x, depth, batch_norm=batch_norm, width=width)
    if x.shape[1:3] != (7, 7):
        x = AdaptiveAveragePooling2D(7, name="avgpool")(x)
    x = flatten_channels_first(x)
    for number in (0, 3):
        x = layers.Dense(
            scaled(HIDDEN, width),
            "relu",
            kernel_initializer="he_normal",
            name=f"classifier_{number}",
        )(x)
        x = layers.Dropout(drop_rate, name=f"classifier_{number + 2}")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="classifier_6")(x)
    return keras.Model(images, logits, name=name)


def _max_pool(x, name):
    return layers.MaxPooling2D(2, name=name)(x)


def vgg_features(x, depth, *, batch_norm=False, width=1.0, pool=_max_pool):
    """The convolutions and poolings of VGG, for a classifier or a segmenter.

    Args:
        x: Symbolic (B, H, W, C) normalised pixels.
        depth: 11, 13, 16 or 19.
        batch_norm: Whether a norm follows each convolution.
        width: Factor on the filters.
        pool: Function of a map and a name that adds the pooling behind each block and gives the
            pooled map.

    Returns:
        Symbolic (B, h, w, K) map behind the fifth pooling.
    """
    # Torchvision numbers every module: convolution, perhaps normalisation, ReLU, pooling.
    position = 0
    modules = 3 if batch_norm else 2
    for filters, count in zip(FILTERS, BLOCKS[depth], strict=True):
        for _ in range(count):
            x = conv_bn_relu(
                x,
                scaled(filters, width),
                kernel_size=3,
                norm=BatchNormalization if batch_norm else None,
                use_bias=True,
                names=[f"features_{position + module}" for module in range(modules)],
            )
            position += modules
        x = pool(x, f"features_{position}")
        position += 1
    return x
