"""RoI align as layers: of one feature map, and of a pyramid."""

import keras
from keras import ops

from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.roi_align import multi_level_roi_align, roi_align


@keras.saving.register_keras_serializable(package="kerakit")
class RoIAlign(keras.layers.Layer):
    """Features inside each box as a grid of fixed size, by interpolation.

    See `kerakit.ops.roi_align`. Boxes are kept in float32 under mixed precision too, where a
    layer would make them float16, in which 640 squared overflows.

    Args:
        output_size: Bins, an integer or (rows, columns).
        scale: Cells a pixel, such as 1 / 16.
        sampling_ratio: Samples a bin along each axis.
        aligned: Whether cells have their centres at 0.5; False is torchvision's default.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: (B, H, W, C) tensor.
        boxes: (B, R, 4) xyxy in pixels of the image.

    Returns:
        (B, R, rows, columns, C) tensor.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        He et al., Mask R-CNN, 2017, Section 3. Deviations: as of `kerakit.ops.roi_align`.

    Example:

    >>> boxes = ops.array([[[0.0, 0.0, 64.0, 64.0]]])
    >>> y = RoIAlign(7, scale=1 / 16)(ops.ones((1, 4, 4, 8)), boxes)
    >>> tuple(y.shape)
    (1, 1, 7, 7, 8)
    """

    def __init__(self, output_size, *, scale=1.0, sampling_ratio=2, aligned=False, **options):
        super().__init__(autocast=False, **options)
        self.output_size = per_axis(output_size, 2, "output_size")
        self.scale = scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def call(self, features, boxes):
        return roi_align(
            ops.cast(features, self.compute_dtype),
            boxes,
            output_size=self.output_size,
            scale=self.scale,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )

    def compute_output_spec(self, features, boxes):
        shape = (*boxes.shape[:2], *self.output_size, features.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        own = {
            "output_size": self.output_size,
            "scale": self.scale,
            "sampling_ratio": self.sampling_ratio,
            "aligned": self.aligned,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerakit")
class MultiScaleRoIAlign(keras.layers.Layer):
    """RoI align of each box from the level of a feature pyramid that fits its size.

    See `kerakit.ops.multi_level_roi_align`. Boxes are kept in float32.

    Args:
        output_size: Bins, an integer or (rows, columns).
        scales: Cells a pixel of each level, finest first: powers of 2.
        sampling_ratio: Samples a bin along each axis.
        aligned: Whether cells have their centres at 0.5; False is torchvision's default.
        canonical_size: Side in pixels of a box that is read from `canonical_level`.
        canonical_level: Logarithm of that level's stride, 4 for 1/16.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: List of (B, H, W, C) tensors, one a level, finest first.
        boxes: (B, R, 4) xyxy in pixels of the image.

    Returns:
        (B, R, rows, columns, C) tensor.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, Eq. 1. Deviations: as of
        `kerakit.ops.roi_levels`.

    Example:

    >>> boxes = ops.array([[[0.0, 0.0, 64.0, 64.0]]])
    >>> pyramid = [ops.ones((1, 16, 16, 8)), ops.ones((1, 8, 8, 8))]
    >>> y = MultiScaleRoIAlign(7, scales=(1 / 4, 1 / 8))(pyramid, boxes)
    >>> tuple(y.shape)
    (1, 1, 7, 7, 8)
    """

    def __init__(
        self,
        output_size,
        *,
        scales=(1 / 4, 1 / 8, 1 / 16, 1 / 32),
        sampling_ratio=2,
        aligned=False,
        canonical_size=224,
        canonical_level=4,
        **options,
    ):
        super().__init__(autocast=False, **options)
        self.output_size = per_axis(output_size, 2, "output_size")
        self.scales = tuple(scales)
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.canonical_size = canonical_size
        self.canonical_level = canonical_level

    def call(self, features, boxes):
        return multi_level_roi_align(
            [ops.cast(x, self.compute_dtype) for x in features],
            boxes,
            scales=self.scales,
            output_size=self.output_size,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
            canonical_size=self.canonical_size,
            canonical_level=self.canonical_level,
        )

    def compute_output_spec(self, features, boxes):
        shape = (*boxes.shape[:2], *self.output_size, features[0].shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        own = {
            "output_size": self.output_size,
            "scales": self.scales,
            "sampling_ratio": self.sampling_ratio,
            "aligned": self.aligned,
            "canonical_size": self.canonical_size,
            "canonical_level": self.canonical_level,
        }
        return {**super().get_config(), **own}
