"""Layer that gives each clip or image mean 0 and deviation 1."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class StandardizeByExample(keras.layers.Layer):
    """Standardises each example of a batch, an image or a clip as a whole: `(x - mean) / s`.

    `s = max(deviation, 1 / sqrt(n))` over the n values of the example, all frames and channels
    together, so that a plain one becomes 0. Thermal cameras and microscopes have no brightness
    that two recordings share. A clip keeps what changes from frame to frame, which is lost where
    each frame is standardised by itself (`tf.image.per_image_standardization` of each). Keras's
    `Normalization` has the figures of a whole set.

    Args:
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        images: (B, H, W, C) or (B, T, H, W, C) pixels.

    Returns:
        Tensor of the same shape in the layer's compute dtype; statistics are of float32 at least.

    Raises:
        ValueError: If the input is not 4D or 5D.

    Example:

    >>> import numpy as np
    >>> layer = StandardizeByExample()
    >>> np.asarray(layer(np.array([[[[1.0], [3.0]]]])))[0, 0, :, 0].tolist()
    [-1.0, 1.0]
    """

    def build(self, input_shape):
        if len(input_shape) not in (4, 5):
            raise ValueError(
                f"`images` must be (B, H, W, C) or (B, T, H, W, C), got shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, images):
        precise = "float64" if self.compute_dtype == "float64" else "float32"
        x = ops.cast(images, precise)
        axes = list(range(1, len(x.shape)))
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True))
        sizes = ops.shape(x)[1:]
        if all(isinstance(size, int) for size in sizes):
            least = 1.0 / math.sqrt(math.prod(sizes))
        else:  # of any size: known only as a tensor
            least = ops.rsqrt(ops.cast(ops.prod(ops.stack(sizes)), precise))
        return ops.cast(centred / ops.maximum(deviation, least), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
