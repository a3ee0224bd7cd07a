"""A map cut to the size of another."""

import keras


@keras.saving.register_keras_serializable(package="kerakit")
class CropLike(keras.layers.Layer):
    """Cuts rows at the bottom and columns at the right, to the height and width of another map.

    A map that was halved with rounding up and enlarged again is a row too large where the size
    was odd. `keras.layers.Cropping2D` takes numbers, which a model of images of any size does
    not know before it runs; `(None, None, 3)` works here.

    Args:
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: (B, H, W, C) tensor.
        like: (B, h, w, ...) tensor, no larger.

    Returns:
        (B, h, w, C) tensor.

    Raises:
        ValueError: If `like` is known to be larger.

    Example:

    >>> import numpy as np
    >>> tuple(CropLike()(np.ones((1, 6, 8, 2)), np.ones((1, 5, 8, 3))).shape)
    (1, 5, 8, 2)
    """

    def call(self, inputs, like):
        height, width = keras.ops.shape(like)[1:3]
        return inputs[:, :height, :width]

    def compute_output_spec(self, inputs, like):
        for whole, part in zip(inputs.shape[1:3], like.shape[1:3], strict=True):
            if None not in (whole, part) and part > whole:
                raise ValueError(
                    "`like` must be no larger than `inputs`, got sizes "
                    f"{tuple(like.shape[1:3])} and {tuple(inputs.shape[1:3])}."
                )
        shape = (inputs.shape[0], *like.shape[1:3], inputs.shape[3])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
