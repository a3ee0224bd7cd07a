"""U-Net whose contracting path is any backbone: its maps, joined on the way back up."""

import keras
from keras import layers

from kerakit.models.classification import mobilenet_v2, resnet18, resnet34
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.feature_taps import feature_taps
from kerakit.models.logits import logits_dtype

DECODER = (256, 128, 64, 32, 16)
# The last map of each size, of 1/2 to 1/32 of the image.
TAPS = {
    "resnet18": ("conv1_relu", *(f"layer{stage}_1_relu" for stage in (1, 2, 3, 4))),
    "resnet34": ("conv1_relu", "layer1_2_relu", "layer2_3_relu", "layer3_5_relu", "layer4_2_relu"),
    "mobilenet_v2": (
        "features_1_conv_2",
        "features_3_add",
        "features_6_add",
        "features_13_add",
        "features_18_2",
    ),
}


def backbone_unet(backbone, *, taps, num_classes, decoder=DECODER, name=None):
    """U-Net on the maps of any backbone, with batch normalisation.

    From the coarsest map up, each step doubles the size by repeating pixels, puts the backbone's
    map of that size beside it where there is one, and runs two [3 x 3 convolution, batch
    normalisation, ReLU].

    Args:
        backbone: Functional `keras.Model` from raw pixels, such as a classifier of
            `kerakit.models.classification` or one of `keras.applications` behind its
            preprocessing; its height and width are multiples of the coarsest map's shrinkage,
            or None. It keeps its weights.
        taps: Names of its layers whose maps are joined, finest first, each of half the size of
            the one before.
        num_classes: K, classes of a pixel.
        decoder: Filters of each step up, one for each halving of the coarsest map.
        name: Name of the model; None: the backbone's behind `unet_`.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, H, W, K) logits.

    Raises:
        ValueError: If an argument is out of its range or the maps do not fit each other.

    Reference:
        Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image
        Segmentation, 2015, Fig. 1. Deviations: the backbone; padded convolutions with batch
        normalisation; nearest upsampling in place of up-convolutions.
    """
    check_classifier(num_classes)
    body = feature_taps(backbone, taps)
    *skips, x = body.outputs
    _check(body, decoder)
    for step, filters in enumerate(decoder):
        x = layers.UpSampling2D(2, name=f"up{step}")(x)
        if skips:
            x = layers.Concatenate(name=f"up{step}_concat")([x, skips.pop()])
        for number in (1, 2):
            names = (f"up{step}_conv{number}", f"up{step}_bn{number}", f"up{step}_relu{number}")
            x = conv_bn_relu(x, filters, kernel_size=3, names=names)
    logits = layers.Conv2D(num_classes, 3, padding="same", dtype=logits_dtype(), name="head")(x)
    return keras.Model(body.inputs[0], logits, name=name or f"unet_{backbone.name}")


def _check(body, decoder):
    """Raises a ValueError unless each step up meets the map of its size, where sizes are known."""
    image = body.inputs[0].shape[1:3]
    if None in image:
        return
    steps = len(decoder)
    if any(size % 2**steps for size in image):
        raise ValueError(
            f"`input_shape` must be multiples of {2**steps} pixels high and wide, got {image}."
        )
    sizes = [x.shape[1:3] for x in body.outputs]
    wanted = [tuple(size // 2 ** (steps - up) for size in image) for up in range(len(sizes))]
    if sizes[-1] != wanted[0]:
        raise ValueError(
            f"`decoder` must have a step for each halving from {image} to the coarsest map's "
            f"{sizes[-1]}, got {steps}."
        )
    if sizes != wanted[::-1]:
        raise ValueError(f"`taps` must halve in size from one to the next, got maps of {sizes}.")


def _builder(family, build, parameters):
    def unet(
        *,
        input_shape=(256, 256, 3),
        num_classes=2,
        normalization="imagenet",
        width=1.0,
        name=None,
    ):
        """U-Net on one backbone.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W multiples of 32, or None.
            num_classes: K, classes of a pixel.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            width: Factor on all filters, the backbone's and the decoder's.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, H, W, K) logits. The backbone's layers
            have torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            As of `backbone_unet`, and of the backbone in `kerakit.models.classification`.
        """
        backbone = build(
            input_shape=input_shape, normalization=normalization, width=width, name=family
        )
        decoder = [scaled(filters, width) for filters in DECODER]
        return backbone_unet(
            backbone, taps=TAPS[family], num_classes=num_classes, decoder=decoder, name=name
        )

    summary = f"U-Net on {family}; {parameters:,} parameters at 2 classes."
    return member(unet, f"unet_{family}", summary)


unet_resnet18 = _builder("resnet18", resnet18, 14_328_354)
unet_resnet34 = _builder("resnet34", resnet34, 24_436_514)
unet_mobilenet_v2 = _builder("mobilenet_v2", mobilenet_v2, 6_629_090)
