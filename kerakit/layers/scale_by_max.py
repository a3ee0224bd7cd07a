"""Layer that divides each image by its own brightest pixel."""

import keras

from kerakit.ops.scale_by_max import scale_by_max


@keras.saving.register_keras_serializable(package="kerakit")
class ScaleByMax(keras.layers.Layer):
    """Divides each example of a batch, an image or a clip as a whole, by its largest value.

    Fluorescence and other dark images differ in exposure from one to the next;
    fixed statistics such as ImageNet's leave that difference in. Keras has
    `Rescaling` and `Normalization` with fixed numbers, and none by image.

    Args:
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        images: (B, H, W, C) or (B, T, H, W, C) pixels, 0..255.

    Returns:
        Tensor of the same shape in the layer's compute dtype, see
        `kerakit.ops.scale_by_max`.

    Raises:
        ValueError: If the input is not 4D or 5D.

    Example:

    >>> import numpy as np
    >>> layer = ScaleByMax()
    >>> float(keras.ops.max(layer(np.full((1, 2, 2, 1), 51.0))))
    1.0
    """

    def build(self, input_shape):
        if len(input_shape) not in (4, 5):
            raise ValueError(
                f"`images` must be (B, H, W, C) or (B, T, H, W, C), got shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, images):
        return scale_by_max(images)

    def compute_output_shape(self, input_shape):
        return input_shape
