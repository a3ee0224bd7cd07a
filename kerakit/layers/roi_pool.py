"""RoI pooling as a layer."""

import keras
from keras import ops

from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.roi_pooling import roi_pooling


@keras.saving.register_keras_serializable(package="kerakit")
class RoIPool(keras.layers.Layer):
    """Largest features in a grid over each box, the pooling of Fast R-CNN.

    See `kerakit.ops.roi_pooling`. Boxes are kept in float32 under mixed precision too.

    Args:
        output_size: Bins, an integer or (rows, columns).
        scale: Cells a pixel, such as 1 / 16.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: (B, H, W, C) tensor.
        boxes: (B, R, 4) xyxy in pixels of the image.

    Returns:
        (B, R, rows, columns, C) tensor.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Girshick, Fast R-CNN, 2015, Section 2.1. Deviations: as of `kerakit.ops.roi_pooling`.

    Example:

    >>> boxes = ops.array([[[0.0, 0.0, 64.0, 64.0]]])
    >>> y = RoIPool(7, scale=1 / 16)(ops.ones((1, 4, 4, 8)), boxes)
    >>> tuple(y.shape)
    (1, 1, 7, 7, 8)
    """

    def __init__(self, output_size, *, scale=1.0, **options):
        super().__init__(autocast=False, **options)
        self.output_size = per_axis(output_size, 2, "output_size")
        self.scale = scale

    def call(self, features, boxes):
        features = ops.cast(features, self.compute_dtype)
        return roi_pooling(features, boxes, output_size=self.output_size, scale=self.scale)

    def compute_output_spec(self, features, boxes):
        shape = (*boxes.shape[:2], *self.output_size, features.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "output_size": self.output_size, "scale": self.scale}
