"""FCN: VGG16's classifier as a convolution over the image, its scores enlarged and refined."""

import keras
from keras import layers

from kerakit.initializers import Bilinear
from kerakit.layers.crop_like import CropLike
from kerakit.layers.padded_conv_transpose import PaddedConv2DTranspose
from kerakit.models.classification.vgg import HIDDEN, vgg_features
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation, 2015,
# Fig. 3: the poolings whose scores are added on the way up, from the coarsest.
SKIPS = {32: (), 16: (4,), 8: (4, 3)}


def _builder(stride, parameters):
    def fcn(
        *,
        input_shape=(224, 224, 3),
        num_classes=21,
        normalization="imagenet",
        batch_norm=False,
        drop_rate=0.5,
        width=1.0,
        name=None,
    ):
        """One stride of FCN.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W of any size, or None.
            num_classes: K, classes of a pixel.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            batch_norm: Whether a norm follows each convolution of VGG, as in `vgg16_bn`: without
                it a net of random weights hardly learns.
            drop_rate: Share of features dropped in training after each hidden layer, [0, 1).
            width: Factor on the filters and on the 4,096 hidden units.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, H, W, K) logits. VGG's layers have
            torchvision's names, so that `kerakit.weights.load_classifier` finds them; the others
            have the authors': `score_fr`, `upscore2`, `score_pool4` and so on.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation,
            2015, Sections 3 and 4. Deviations: convolutions pad zeros that keep the size, the
            7 x 7 one too, and poolings round up, where the paper pads the image by 100 and crops
            by fixed offsets; `score_fr` starts random and not at 0, so that the body learns from
            the first step on; `batch_norm`. As there, scores of poolings start at 0, learned
            upsamplings as bilinear ones, and the last upsampling stays bilinear.
        """
        options = {"batch_norm": batch_norm, "drop_rate": drop_rate, "width": width}
        return _fcn(stride, input_shape, num_classes, normalization, name, **options)

    summary = f"FCN on VGG16 with scores at 1/{stride} of the size; {parameters:,} parameters."
    return member(fcn, f"fcn{stride}s", summary)


fcn32s = _builder(32, parameters=134_346_581)
fcn16s = _builder(16, parameters=134_364_410)
fcn8s = _builder(8, parameters=134_376_863)


def _fcn(stride, input_shape, num_classes, normalization, name, *, batch_norm, drop_rate, width):
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    pooled = []

    def pool(x, name):
        # Rounding up, as Caffe does, so that no row of the image goes without an answer.
        pooled.append(layers.MaxPooling2D(2, padding="same", name=name)(x))
        return pooled[-1]

    x = vgg_features(x, 16, batch_norm=batch_norm, width=width, pool=pool)
    for number, size in ((0, 7), (3, 1)):
        x = layers.Conv2D(
            scaled(HIDDEN, width),
            size,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"classifier_{number}",
        )(x)
        x = layers.Dropout(drop_rate, name=f"classifier_{number + 2}")(x)
    x = layers.Conv2D(num_classes, 1, name="score_fr")(x)
    for number in SKIPS[stride]:
        skip = pooled[number - 1]
        score = layers.Conv2D(
            num_classes, 1, kernel_initializer="zeros", name=f"score_pool{number}"
        )(skip)
        x = _upsampled(x, score, 2, "upscore2" if number == 4 else f"upscore_pool{number + 1}")
        x = layers.Add(name=f"fuse_pool{number}")([x, score])
    logits = _upsampled(
        x, images, stride, f"upscore{stride}", trainable=False, dtype=logits_dtype()
    )
    return keras.Model(images, logits, name=name)


def _upsampled(x, like, factor, name, **options):
    x = PaddedConv2DTranspose(
        x.shape[-1],
        2 * factor,
        strides=factor,
        padding=factor // 2,
        use_bias=False,
        kernel_initializer=Bilinear(),
        name=name,
        **options,
    )(x)
    dtype = options.get("dtype")
    return CropLike(name=f"{name}_crop", dtype=dtype)(x, like)
