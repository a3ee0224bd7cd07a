"""The second stage of Faster R-CNN: what is in a box, and where it really ends."""

import keras
from keras import ops

from kerakit.ops.box_formats import in_box_precision


@keras.saving.register_keras_serializable(package="kerakit")
class BoxHead(keras.layers.Layer):
    """Classes and offsets of boxes from their features: two dense layers, then one each.

    Class 0 is background, class k + 1 the model's class k; offsets are of each class. Its layers
    have torchvision's names (`head_fc6`, `predictor_cls_score`).

    Args:
        num_classes: K, without background.
        units: Units of each of the two dense layers.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        regions: (B, R, h, w, C) tensor, such as of `kerakit.layers.MultiScaleRoIAlign`.

    Returns:
        Tuple of (B, R, K + 1) float32 logits and (B, R, K + 1, 4) float32 offsets.

    Reference:
        Girshick, Fast R-CNN, 2015, Sections 2.1 and 2.3 (initial weights of the last layers); Lin
        et al., Feature Pyramid Networks for Object Detection, 2017, Section 4.2. Deviations: none.

    Example:

    >>> logits, offsets = BoxHead(3, units=16)(ops.ones((1, 5, 7, 7, 8)))
    >>> tuple(logits.shape), tuple(offsets.shape)
    ((1, 5, 4), (1, 5, 4, 4))
    """

    def __init__(self, num_classes, *, units=1024, **options):
        super().__init__(**options)
        self.num_classes = num_classes
        self.units = units

    def build(self, shape):
        spread = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
        self.fc6 = self._dense(self.units, "head_fc6", spread, activation="relu")
        self.fc7 = self._dense(self.units, "head_fc7", spread, activation="relu")
        kinds, normal = self.num_classes + 1, keras.initializers.RandomNormal
        self.scores = self._dense(kinds, "predictor_cls_score", normal(stddev=0.01))
        self.offsets = self._dense(4 * kinds, "predictor_bbox_pred", normal(stddev=0.001))
        self.fc6.build((None, shape[-3] * shape[-2] * shape[-1]))
        for layer in (self.fc7, self.scores, self.offsets):
            layer.build((None, self.units))

    def _dense(self, units, name, initializer, **options):
        return keras.layers.Dense(
            units, kernel_initializer=initializer, name=name, dtype=self.dtype_policy, **options
        )

    def call(self, regions):
        count, height, width, channels = regions.shape[1:]
        # PyTorch's order of features: all places of a channel, then the next channel.
        x = ops.transpose(regions, (0, 1, 4, 2, 3))
        x = ops.reshape(x, (-1, channels * height * width))
        x = self.fc7(self.fc6(x))
        kinds = self.num_classes + 1
        logits = ops.reshape(self.scores(x), (-1, count, kinds))
        offsets = ops.reshape(self.offsets(x), (-1, count, kinds, 4))
        return in_box_precision(logits), in_box_precision(offsets)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "units": self.units}
