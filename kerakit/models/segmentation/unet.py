"""U-Net as its paper has it: down by pooling, up by convolutions, joined level by level."""

import functools

import keras
from keras import layers

from kerakit.initializers import HeNormal
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation,
# 2015, Fig. 1: channels of each level, the last one of the bottom.
FILTERS = (64, 128, 256, 512, 1024)
POOLINGS = len(FILTERS) - 1
# Pixels that the unpadded net loses of each axis, and what it needs at least: 572 -> 388.
LOST, LEAST = 184, 188
PADDINGS = ("valid", "same")


def unet(
    *,
    input_shape=(572, 572, 1),
    num_classes=2,
    padding="valid",
    normalization="centered",
    batch_normalization=False,
    drop_rate=0.5,
    width=1.0,
    name="unet",
):
    """The paper's U-Net: 31,030,658 parameters and 150.428 GMAC from 572 x 572 to 388 x 388.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255; H and W may be None. Each is 188, 204,
            220, ... (12 more than a multiple of 16) without padding, so that every pooled map
            is even, and a multiple of 16 with it.
        num_classes: K, classes of a pixel.
        padding: `"valid"`: no convolution pads; the answer is of the image without 92 pixels at
            each side, and each sees real pixels only. `"same"`: the answer has the image's size.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        batch_normalization: Whether a norm follows each 3 x 3 convolution, which then has no
            bias. The paper has none.
        drop_rate: Share of features dropped in training at the end of the contracting path, in
            the two lowest levels, [0, 1). The paper gives no figure.
        width: Factor on all filters.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, H - 184, W - 184, K) logits, with
        `padding="same"` (B, H, W, K).

    Raises:
        ValueError: If an argument is out of its range, or the size does not fit.

    Reference:
        Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image
        Segmentation, 2015, Fig. 1 and Section 3 (initial weights). Deviations: K logits in place
        of a softmax; `padding="same"` and `batch_normalization` are additions.
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    if padding not in PADDINGS:
        raise ValueError(f"`padding` must be one of {PADDINGS}, got {padding!r}.")
    is_valid = padding == "valid"
    _check_size(input_shape, is_valid)
    filters = [scaled(f, width) for f in FILTERS]
    two = functools.partial(
        _two_convolutions,
        padding=0 if is_valid else None,
        norm=BatchNormalization if batch_normalization else None,
    )

    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    skips = []
    for level in range(POOLINGS):
        x = two(x, filters[level], f"down{level}")
        if level == POOLINGS - 1:
            x = layers.Dropout(drop_rate, name=f"down{level}_dropout")(x)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    x = two(x, filters[-1], "bottom")
    x = layers.Dropout(drop_rate, name="bottom_dropout")(x)
    margin = 4  # at each side, in pixels of the level: what the levels below have lost
    for level in reversed(range(POOLINGS)):
        skip = skips[level]
        if is_valid:
            skip = layers.Cropping2D(margin, name=f"up{level}_crop")(skip)
            margin = 2 * (margin + 4)
        x = layers.Conv2DTranspose(
            filters[level], 2, 2, kernel_initializer=HeNormal(), name=f"up{level}_upconv"
        )(x)
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])
        x = two(x, filters[level], f"up{level}")
    logits = layers.Conv2D(num_classes, 1, dtype=logits_dtype(), name="head")(x)
    return keras.Model(images, logits, name=name)


def _two_convolutions(x, filters, name, *, padding, norm):
    for number in (1, 2):
        names = [f"{name}_conv{number}", f"{name}_bn{number}", f"{name}_relu{number}"]
        x = conv_bn_relu(
            x,
            filters,
            kernel_size=3,
            padding=padding,
            norm=norm,
            kernel_initializer=HeNormal(),
            names=names if norm else names[::2],
        )
    return x


def _check_size(input_shape, is_valid):
    for size in input_shape[:2]:
        if size is None:
            continue
        if is_valid and (size < LEAST or (size - LEAST) % 16):
            raise ValueError(
                f"`input_shape` must be 188, 204, 220, ... pixels high and wide where "
                f'`padding="valid"`, got {size}.'
            )
        if not is_valid and (size < 16 or size % 16):
            raise ValueError(
                f"`input_shape` must be multiples of 16 pixels high and wide, got {size}."
            )
