"""A learned token before the others, from which a transformer classifies."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class ClassToken(keras.layers.Layer):
    """Puts one learned token before those of each example.

    `y = [token; x_1; ...; x_N]`. Keras has no layer that adds a learned row. The token
    starts at 0, and its answer after the last block is the image's: it belongs to no patch, so
    that attention alone fills it.

    Args:
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, N, d) tokens.

    Returns:
        (B, N + 1, d) tokens. A mask that Keras carries along is True for the new one.

    Raises:
        ValueError: If `x` is not 3D.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, Eq. 1. Deviations: none.

    Example:

    >>> import numpy as np
    >>> y = ClassToken()(np.ones((1, 2, 3)))
    >>> ops.convert_to_numpy(y)[0, :, 0].tolist()
    [0.0, 1.0, 1.0]
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(f"`x` must be (B, N, d) tokens, got shape {tuple(input_shape)}.")
        self.token = self.add_weight((1, 1, input_shape[-1]), initializer="zeros", name="token")

    def call(self, x):
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([ops.cast(token, x.dtype), x], axis=1)

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None:
            return None
        is_token = ops.cast(previous_mask, "bool")
        return ops.concatenate([ops.ones_like(is_token[:, :1]), is_token], axis=1)

    def compute_output_shape(self, input_shape):
        batch, tokens, width = input_shape
        return (batch, None if tokens is None else tokens + 1, width)
