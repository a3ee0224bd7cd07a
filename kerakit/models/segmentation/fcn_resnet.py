"""Fully convolutional networks on dilated ResNets, as torchvision has them."""

import keras
from keras import layers

from kerakit.layers.resize_like import ResizeLike
from kerakit.models.classification import resnet50, resnet101
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, member
from kerakit.models.feature_taps import feature_taps
from kerakit.models.logits import logits_dtype

AUXILIARY_TAPS = {"resnet50": "layer3_5_relu", "resnet101": "layer3_22_relu"}
TAP = "layer4_2_relu"


def _builder(build, parameters):
    def fcn_resnet(
        *,
        input_shape=(520, 520, 3),
        num_classes=21,
        normalization="imagenet",
        auxiliary_head=False,
        drop_rate=0.1,
        width=1.0,
        name=None,
    ):
        """Fully convolutional network on one dilated ResNet.

        The backbone's last two stages dilate in place of halving, so that its maps have an eighth
        of the image's height and width. A head of a 3 x 3 convolution and a score for each class
        follows, and its scores are brought to the image's size.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255. H and W may have any size.
            num_classes: K, classes of a pixel.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            auxiliary_head: Whether to give a second head's answer too, from the third stage, for
                training with 0.5 of its loss.
            drop_rate: Share of features dropped in training before the scores, [0, 1).
            width: Factor on the backbone's filters, and so on the heads'.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, H, W, K) logits; with an auxiliary head
            to a dict of `logits` and `aux`. Its layers have torchvision's names: those of the
            backbone stand in a model `backbone` inside, into which a classifier's checkpoint
            loads with `skip=("fc.",)`.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation,
            2015. Deviations: torchvision's, a dilated ResNet in place of VGG, one head on its last
            map in place of sums over levels, and the auxiliary head.
        """
        check_classifier(num_classes, width=width, drop_rate=drop_rate)
        family = build.__name__
        backbone = build(
            input_shape=input_shape,
            num_classes=1,
            normalization=normalization,
            output_stride=8,
            width=width,
        )
        taps = [AUXILIARY_TAPS[family]] * auxiliary_head + [TAP]
        body = feature_taps(backbone, taps, name="backbone")
        images = keras.Input(input_shape, name="images")
        *third, last = keras.tree.flatten(body(images))
        outputs = {"logits": _head(last, images, num_classes, drop_rate, "classifier")}
        if auxiliary_head:
            outputs["aux"] = _head(*third, images, num_classes, drop_rate, "aux_classifier")
        return keras.Model(images, outputs if auxiliary_head else outputs["logits"], name=name)

    name = f"fcn_{build.__name__}"
    summary = (
        f"Fully convolutional network on a dilated {build.__name__.replace('resnet', 'ResNet-')}; "
        f"{parameters:,} parameters."
    )
    return member(fcn_resnet, name, summary)


def _head(x, images, num_classes, drop_rate, name):
    names = (f"{name}_0", f"{name}_1", f"{name}_2")
    x = conv_bn_relu(x, x.shape[-1] // 4, kernel_size=3, names=names)
    x = layers.Dropout(drop_rate, name=f"{name}_3")(x)
    x = layers.Conv2D(num_classes, 1, dtype=logits_dtype(), name=f"{name}_4")(x)
    return ResizeLike(dtype=logits_dtype(), name=f"{name}_resize")([x, images])


fcn_resnet50 = _builder(resnet50, 32_957_013)
fcn_resnet101 = _builder(resnet101, 51_949_141)
