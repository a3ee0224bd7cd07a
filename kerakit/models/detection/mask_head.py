"""Mask R-CNN's third branch: which pixels of a box belong to what is in it."""

import keras
from keras import ops

from kerakit.layers.padded_conv import PaddedConv2D
from kerakit.layers.padded_conv_transpose import PaddedConv2DTranspose
from kerakit.models.conv_bn_relu import he_fan_out
from kerakit.models.logits import logits_dtype
from kerakit.ops.box_formats import in_box_precision


@keras.saving.register_keras_serializable(package="kerakit")
class MaskHead(keras.layers.Layer):
    """Mask of a box for one class, from its features.

    Four 3 x 3 convolutions with ReLU, a transposed convolution that doubles the size, and a 1 x 1
    convolution to one map a class, of which only that of the class asked for is computed. Its
    layers have torchvision's names (`head_0_0`, `predictor_conv5_mask`).

    Args:
        num_classes: K, without background.
        filters: Channels of each convolution.
        depth: 3 x 3 convolutions.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        regions: (B, R, h, w, C) tensor, such as of `kerakit.layers.MultiScaleRoIAlign`.
        classes: (B, R) int in [0, K); others are read as some class.

    Returns:
        (B, R, 2 h, 2 w) float32 logits.

    Reference:
        He et al., Mask R-CNN, 2017, Section 3.1 and Fig. 4 right. Deviations: none; weights for
        background are kept beside those of the classes, as in torchvision.

    Example:

    >>> classes = ops.zeros((1, 5), "int32")
    >>> tuple(MaskHead(3, filters=8)(ops.ones((1, 5, 14, 14, 8)), classes).shape)
    (1, 5, 28, 28)
    """

    def __init__(self, num_classes, *, filters=256, depth=4, **options):
        super().__init__(**options)
        self.num_classes = num_classes
        self.filters = filters
        self.depth = depth

    def build(self, regions_shape, classes_shape=None):
        options = {"kernel_initializer": he_fan_out(), "dtype": self.dtype_policy}
        relu = {**options, "activation": "relu"}
        self.convs = [
            PaddedConv2D(self.filters, 3, padding=1, name=f"head_{number}_0", **relu)
            for number in range(self.depth)
        ]
        self.larger = PaddedConv2DTranspose(
            self.filters, 2, strides=2, name="predictor_conv5_mask", **relu
        )
        # Probabilities near a half at first, however many classes there are.
        options["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.001)
        self.logits = PaddedConv2D(
            self.num_classes + 1, 1, name="predictor_mask_fcn_logits", **options
        )
        shape = (None, *regions_shape[2:])
        for layer in (*self.convs, self.larger, self.logits):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, regions, classes):
        count, (height, width) = ops.shape(regions)[1], regions.shape[2:4]
        x = ops.reshape(regions, (-1, *regions.shape[2:]))
        for conv in self.convs:
            x = conv(x)
        x = self.larger(x)
        x = ops.reshape(x, (-1, count, 4 * height * width, self.filters))
        # Of the last convolution the column of each box's class: a K-th of the work of all.
        kind = ops.clip(ops.cast(classes, "int32") + 1, 0, self.num_classes)
        columns = ops.take(ops.transpose(self.logits.kernel[0, 0]), kind, axis=0)
        columns = ops.cast(columns, x.dtype)
        logits = in_box_precision(ops.matmul(x, columns[..., None])[..., 0])
        bias = ops.cast(ops.take(self.logits.bias, kind, axis=0), logits.dtype)
        return ops.reshape(logits + bias[..., None], (-1, count, 2 * height, 2 * width))

    def compute_output_spec(self, regions, classes):
        count, height, width = regions.shape[1:4]
        return keras.KerasTensor((regions.shape[0], count, 2 * height, 2 * width), logits_dtype())

    def get_config(self):
        own = {"num_classes": self.num_classes, "filters": self.filters, "depth": self.depth}
        return {**super().get_config(), **own}
