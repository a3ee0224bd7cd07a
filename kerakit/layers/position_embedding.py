"""Learned positions, added to tokens."""

import keras


@keras.saving.register_keras_serializable(package="kerakit")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each place of a sequence, `y_n = x_n + P_n`.

    Attention treats tokens as a set: without positions an image and its shuffled patches are
    the same to it. `P` has `N d` parameters. Keras has no such layer; `keras.layers.Embedding`
    would have to be fed with place numbers.

    Args:
        initializer: Of `P`; None for a normal distribution of deviation 0.02, as in ViT.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, N, d) tokens, N known.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        ValueError: If `x` is not 3D, or N unknown.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, Eq. 1 (`E_pos`). Deviations:
        none.

    Example:

    >>> import numpy as np
    >>> layer = PositionEmbedding(initializer="ones")
    >>> float(layer(np.ones((1, 5, 3)))[0, 0, 0]), layer.count_params()
    (2.0, 15)
    """

    def __init__(self, *, initializer=None, **options):
        super().__init__(**options)
        if initializer is None:
            initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) != 3 or None in input_shape[1:]:
            raise ValueError(
                f"`x` must be (B, N, d) tokens, N and d known, got shape {tuple(input_shape)}."
            )
        self.position = self.add_weight(
            tuple(input_shape[1:]), initializer=self.initializer, name="position"
        )

    def call(self, x):
        return x + self.position

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "initializer": initializer}
