"""Layer that brings maps to the size of another tensor."""

import keras
from keras import ops

from kerakit.ops.resize_bilinear import resize_bilinear


@keras.saving.register_keras_serializable(package="kerakit")
class ResizeLike(keras.layers.Layer):
    """Resizes maps to the height and width of another tensor, such as scores to their images.

    `keras.layers.UpSampling2D` multiplies a size and `keras.layers.Resizing` has one that is fixed
    when the model is built. A map of stride 8 of a 65 x 97 image is 9 x 13: eight times that is
    72 x 104, and in a model for images of any size no fixed one is right.

    Args:
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: List of two: (B, h, w, C) maps, and a (B, H, W, ...) tensor, of which only H and W
            count.

    Returns:
        (B, H, W, C) tensor, see `kerakit.ops.resize_bilinear`.

    Raises:
        ValueError: If the inputs are not two of which the first is 4D.

    Example:

    >>> maps, images = ops.ones((1, 3, 4, 2)), ops.zeros((1, 65, 97, 3))
    >>> tuple(ResizeLike()([maps, images]).shape)
    (1, 65, 97, 2)
    """

    interpolation = "bilinear"  # for `kerakit.cost`

    def build(self, input_shape):
        if len(input_shape) != 2 or len(input_shape[0]) != 4 or len(input_shape[1]) < 3:
            raise ValueError(
                "`inputs` must be (B, h, w, C) maps and a (B, H, W, ...) tensor, got shapes "
                f"{[tuple(shape) for shape in input_shape]}."
            )
        super().build(input_shape)

    def call(self, inputs):
        maps, like = inputs
        return resize_bilinear(maps, ops.shape(like)[1:3])

    def compute_output_shape(self, input_shape):
        maps, like = input_shape
        return (maps[0], *like[1:3], maps[-1])
