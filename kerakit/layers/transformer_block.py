"""The transformer's encoder block: self-attention and a feed-forward, each on a residual."""

import keras

from kerakit.layers.arguments import check_whole
from kerakit.layers.drop_path import DropPath
from kerakit.layers.feed_forward import FeedForward
from kerakit.ops.attention_mask import merge_masks, take_mask


@keras.saving.register_keras_serializable(package="kerakit")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a feed-forward, each with a residual connection and layer norm.

    Keras has `MultiHeadAttention` and `LayerNormalization`, which are used inside, and no block.

        norm="post": x = LN(x + MHA(x));   x = LN(x + FFN(x))         Vaswani et al.
        norm="pre":  x = x + MHA(LN(x));   x = x + FFN(LN(x))         Xiong et al., ViT

    A block of width d has `12 d^2 + 13 d` parameters at `feedforward_dim = 4 d`, and equals
    `torch.nn.TransformerEncoderLayer` (`norm_first=True` is "pre") to 1e-5 with its weights. A
    pre-norm stack wants one more layer norm at its end.

    Args:
        num_heads: h, which divides d.
        feedforward_dim: d_ff; None for 4 d.
        norm: "post" or "pre".
        activation: Of the feed-forward; "gelu" is the exact one, as in ViT.
        drop_rate: Share dropped in training of each branch's output and of the feed-forward's
            hidden features, [0, 1).
        attention_drop_rate: Share of the attention weights dropped in training, [0, 1).
        drop_path_rate: Probability that a branch is left out for an example, see `DropPath`.
        epsilon: Of the layer norms. Keras's default is 1e-3; published weights have 1e-5 or 1e-6.
        causal: Whether a token sees only itself and those before it.
        feedforward: A layer in place of the `FeedForward`, such as a `MixtureOfExperts`;
            `feedforward_dim` and `activation` are then not used.
        kernel_initializer: Of all kernels.
        seed: Of all random drops.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, N, d) tokens.
        padding_mask: (B, N) bool, False where there is no token; attention does not look there.
            A mask that Keras carries along (`mask_zero=True`) is used as well, and passed on.
        attention_mask: (N, N) or (B, N, N) bool: may token i (row) look at token j (column)?
        training: Whether to drop.

    Returns:
        (B, N, d) tokens. Those at padding are without meaning, but finite.

    Raises:
        ValueError: If an argument is out of its range; if `num_heads` does not divide d.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, Section 3 (post-norm); Xiong et al., On
        Layer Normalization in the Transformer Architecture, 2020, Table 1 (pre-norm).
        Deviations: the dropout inside the feed-forward, as in PyTorch.

    Example:

    >>> import numpy as np
    >>> block = TransformerBlock(2, norm="pre", activation="gelu")
    >>> tuple(block(np.ones((1, 5, 16))).shape)
    (1, 5, 16)
    >>> block.count_params() == 12 * 16**2 + 13 * 16
    True
    """

    def __init__(
        self,
        num_heads,
        feedforward_dim=None,
        *,
        norm="post",
        activation="relu",
        drop_rate=0.0,
        attention_drop_rate=0.0,
        drop_path_rate=0.0,
        epsilon=1e-5,
        causal=False,
        feedforward=None,
        kernel_initializer="glorot_uniform",
        seed=None,
        **options,
    ):
        check_whole(num_heads=num_heads)
        if feedforward_dim is not None:
            check_whole(feedforward_dim=feedforward_dim)
        if norm not in ("post", "pre"):
            raise ValueError(f'`norm` must be "post" or "pre", got {norm!r}.')
        for name, rate in {
            "drop_rate": drop_rate,
            "attention_drop_rate": attention_drop_rate,
            "drop_path_rate": drop_path_rate,
        }.items():
            if not 0 <= rate < 1:
                raise ValueError(f"`{name}` must be in [0, 1), got {rate}.")
        super().__init__(**options)
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.norm = norm
        self.activation = keras.activations.get(activation)
        self.drop_rate = drop_rate
        self.attention_drop_rate = attention_drop_rate
        self.drop_path_rate = drop_path_rate
        self.epsilon = epsilon
        self.causal = causal
        self.feedforward = feedforward
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f"`x` must be (B, N, d) tokens with d known, got shape {tuple(input_shape)}."
            )
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the width of the tokens, got {self.num_heads} heads for "
                f"{width} features."
            )
        self.ln_1 = self._layer_norm("ln_1")
        self.self_attention = self._attention(width, "self_attention")
        self.ln_2 = self._layer_norm("ln_2")
        self.mlp = self.feedforward or FeedForward(
            self.feedforward_dim or 4 * width,
            activation=self.activation,
            drop_rate=self.drop_rate,
            kernel_initializer=self.kernel_initializer,
            seed=self.seed,
            name="mlp",
            dtype=self.dtype_policy,
        )
        self.dropout = keras.layers.Dropout(self.drop_rate, seed=self.seed, dtype=self.dtype_policy)
        self.drop_path = DropPath(self.drop_path_rate, seed=self.seed, dtype=self.dtype_policy)
        self.self_attention.build(input_shape, input_shape)
        for layer in (self.ln_1, self.ln_2, self.mlp):
            if not layer.built:  # a given feed-forward is, when it comes from a config
                layer.build(input_shape)

    def _layer_norm(self, name):
        return keras.layers.LayerNormalization(
            epsilon=self.epsilon, name=name, dtype=self.dtype_policy
        )

    def _attention(self, width, name):
        return keras.layers.MultiHeadAttention(
            self.num_heads,
            width // self.num_heads,
            dropout=self.attention_drop_rate,
            kernel_initializer=self.kernel_initializer,
            seed=self.seed,
            name=name,
            dtype=self.dtype_policy,
        )

    def call(self, x, padding_mask=None, attention_mask=None, training=None):
        x = self._attend_to_self(x, padding_mask, attention_mask, training)
        return self._feed_forward(x, training)

    def _attend_to_self(self, x, padding_mask, attention_mask, training):
        x, padding_mask = take_mask(x, padding_mask)
        mask = merge_masks(padding_mask=padding_mask, attention_mask=attention_mask)

        def attention(x):
            return attend(self.self_attention, x, x, mask, training, use_causal_mask=self.causal)

        return self._residual(x, attention, self.ln_1, training)

    def _feed_forward(self, x, training):
        return self._residual(x, lambda x: self.mlp(x, training=training), self.ln_2, training)

    def _residual(self, x, branch, layer_norm, training):
        y = branch(layer_norm(x) if self.norm == "pre" else x)
        y = self.drop_path(self.dropout(y, training=training), training=training)
        return x + y if self.norm == "pre" else layer_norm(x + y)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "norm": self.norm,
            "activation": keras.activations.serialize(self.activation),
            "drop_rate": self.drop_rate,
            "attention_drop_rate": self.attention_drop_rate,
            "drop_path_rate": self.drop_path_rate,
            "epsilon": self.epsilon,
            "causal": self.causal,
            "feedforward": keras.saving.serialize_keras_object(self.feedforward),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        feedforward = keras.saving.deserialize_keras_object(config["feedforward"])
        return cls(**{**config, "feedforward": feedforward})


def attend(attention, x, memory, mask, training, **options):
    """One attention layer's output, in float64 too where that is the dtype."""
    options.update(attention_mask=mask, training=training)
    if attention.compute_dtype != "float64":
        return attention(x, memory, **options)
    # JAX's fused attention takes its softmax in float32; asked for the scores, Keras does not
    # use it. A gradient check needs the digits.
    return attention(x, memory, return_attention_scores=True, **options)[0]
