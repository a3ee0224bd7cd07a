"""Anchors of the feature maps that a head reads."""

import keras
from keras import ops

from kerakit.ops.anchors import pyramid_anchors


@keras.saving.register_keras_serializable(package="kerakit")
class AnchorGenerator(keras.layers.Layer):
    """Anchors of every level of a pyramid, from the shapes of its feature maps.

    See `kerakit.ops.pyramid_anchors`. Only shapes are read: the anchors are constants.

    Args:
        sizes: For each level a tuple of sizes in pixels.
        image_size: (height, width) of the images in pixels.
        aspect_ratios: Height over width; a tuple for all levels, or one tuple a level.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: List of (B, H, W, C) tensors, one a level, H and W known.

    Returns:
        (B, A, 4) float32 xyxy in pixels, the same for every image.

    Raises:
        ValueError: If the levels are not as many as the sizes.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, Section 4.1.
        Deviations: none.

    Example:

    >>> layer = AnchorGenerator(((32,),), image_size=(32, 32), aspect_ratios=(1.0,))
    >>> [float(v) for v in layer([ops.ones((1, 2, 2, 8))])[0, 3]]
    [0.0, 0.0, 32.0, 32.0]
    """

    def __init__(self, sizes, *, image_size, aspect_ratios=(0.5, 1.0, 2.0), **options):
        super().__init__(autocast=False, **options)
        self.sizes = tuple(tuple(level) for level in sizes)
        self.image_size = tuple(image_size)
        nested = isinstance(aspect_ratios[0], (tuple, list))
        self.aspect_ratios = tuple(map(tuple, aspect_ratios)) if nested else tuple(aspect_ratios)

    def call(self, features):
        anchors = pyramid_anchors(
            [tuple(x.shape[1:3]) for x in features],
            image_size=self.image_size,
            sizes=self.sizes,
            aspect_ratios=self.aspect_ratios,
        )
        return ops.tile(anchors[None], (ops.shape(features[0])[0], 1, 1))

    def compute_output_spec(self, features):
        ratios = self.aspect_ratios
        if not isinstance(ratios[0], tuple):
            ratios = (ratios,) * len(self.sizes)
        levels = zip(features, self.sizes, ratios, strict=True)
        count = sum(x.shape[1] * x.shape[2] * len(s) * len(r) for x, s, r in levels)
        return keras.KerasTensor((features[0].shape[0], count, 4), dtype="float32")

    def get_config(self):
        own = {
            "sizes": self.sizes,
            "image_size": self.image_size,
            "aspect_ratios": self.aspect_ratios,
        }
        return {**super().get_config(), **own}
