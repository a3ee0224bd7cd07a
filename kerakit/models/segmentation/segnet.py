"""SegNet: a decoder that puts values back where the encoder's poolings took them from."""

import keras
from keras import layers

from kerakit.layers.max_unpool import MaxUnpool2D
from kerakit.layers.padded_max_pooling import MaxPooling2DWithIndices
from kerakit.models.classification.vgg import FILTERS, vgg_features
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# VGG16's convolutions before each pooling, which the decoder has again in reverse order.
CONVOLUTIONS = (2, 2, 3, 3, 3)


def segnet(
    *,
    input_shape=(224, 224, 3),
    num_classes=21,
    normalization="imagenet",
    width=1.0,
    name="segnet",
):
    """SegNet: VGG16's 13 convolutions and as many back, by max pooling and max unpooling.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255; H and W at least 32, or None. Where they
            are no multiples of 32, poolings leave rows at the bottom and columns at the right
            out, and the decoder knows these by their neighbours alone.
        num_classes: K, classes of a pixel.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        width: Factor on all filters.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, H, W, K) logits. The encoder has the names
        of torchvision's `vgg16_bn`, so that `kerakit.weights.load_classifier` finds them.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Badrinarayanan, Kendall and Cipolla, SegNet: A Deep Convolutional Encoder-Decoder
        Architecture for Image Segmentation, 2017, Section 3 and Fig. 2. Deviations: none. As in
        the authors' published network, a ReLU follows each norm of the decoder too, which the
        paper leaves out of its small SegNet-Basic.
    """
    check_classifier(num_classes, width=width)
    images = keras.Input(input_shape, name="images")
    levels = []

    def pool(x, name):
        values, indices = MaxPooling2DWithIndices(2, name=name)(x)
        levels.append((x, indices))
        return values

    x = vgg_features(normalize(images, normalization), 16, batch_norm=True, width=width, pool=pool)
    for level in reversed(range(len(levels))):
        whole, indices = levels[level]
        x = MaxUnpool2D(2, name=f"up{level}_unpool")(x, indices, like=whole)
        for number in range(1, CONVOLUTIONS[level] + 1):
            is_last = number == CONVOLUTIONS[level]
            if is_last and level == 0:
                break  # the class scores, below
            filters = FILTERS[max(level - 1, 0) if is_last else level]
            x = conv_bn_relu(
                x,
                scaled(filters, width),
                kernel_size=3,
                use_bias=True,
                names=[f"up{level}_{part}{number}" for part in ("conv", "bn", "relu")],
            )
    logits = layers.Conv2D(num_classes, 3, padding="same", dtype=logits_dtype(), name="head")(x)
    return keras.Model(images, logits, name=name)
