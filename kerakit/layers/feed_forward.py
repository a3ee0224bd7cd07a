"""The two dense layers of a transformer block."""

import keras

from kerakit.initializers import another
from kerakit.layers.arguments import check_whole


@keras.saving.register_keras_serializable(package="kerakit")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between them, applied to each token by itself.

    `FFN(x) = max(0, x W1 + b1) W2 + b2`, with `2 d d_ff + d_ff + d` parameters for tokens of
    width d. Keras has `Dense` alone; a name of its own lets `TransformerBlock` and
    `MixtureOfExperts` be compared with it and put in its place.

    Args:
        hidden_dim: d_ff, the width between the two layers; usually 4 d.
        activation: Name or function of the activation between them. "gelu" is the exact one.
        drop_rate: Share of the hidden features dropped in training, [0, 1).
        kernel_initializer: Of both kernels, as in `keras.layers.Dense`.
        seed: Of the dropout.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (..., d) tokens.
        training: Whether to drop features.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        ValueError: If `hidden_dim` or `drop_rate` is out of its range.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, Eq. 2. Deviations: other activations,
        and the dropout between the layers, where PyTorch's blocks and ViT have one.

    Example:

    >>> import numpy as np
    >>> layer = FeedForward(8)
    >>> tuple(layer(np.ones((2, 5, 3))).shape)
    (2, 5, 3)
    >>> layer.count_params()  # 2 * 3 * 8 + 8 + 3
    59
    """

    def __init__(
        self,
        hidden_dim,
        *,
        activation="relu",
        drop_rate=0.0,
        kernel_initializer="glorot_uniform",
        seed=None,
        **options,
    ):
        check_whole(hidden_dim=hidden_dim)
        if not 0 <= drop_rate < 1:
            raise ValueError(f"`drop_rate` must be in [0, 1), got {drop_rate}.")
        super().__init__(**options)
        self.hidden_dim = hidden_dim
        self.activation = keras.activations.get(activation)
        self.drop_rate = drop_rate
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        width = input_shape[-1]
        options = {"dtype": self.dtype_policy}
        self.linear_1 = keras.layers.Dense(
            self.hidden_dim,
            self.activation,
            kernel_initializer=another(self.kernel_initializer),
            name="linear_1",
            **options,
        )
        self.dropout = keras.layers.Dropout(self.drop_rate, seed=self.seed, **options)
        self.linear_2 = keras.layers.Dense(
            width,
            kernel_initializer=another(self.kernel_initializer, 1),
            name="linear_2",
            **options,
        )
        self.linear_1.build(input_shape)
        self.linear_2.build((*input_shape[:-1], self.hidden_dim))

    def call(self, x, training=None):
        return self.linear_2(self.dropout(self.linear_1(x), training=training))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "activation": keras.activations.serialize(self.activation),
            "drop_rate": self.drop_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }
