"""The transformer's decoder block: self-attention, attention to a memory, feed-forward."""

import keras

from kerakit.layers.transformer_block import TransformerBlock, attend
from kerakit.ops.attention_mask import merge_masks, take_mask


@keras.saving.register_keras_serializable(package="kerakit")
class TransformerDecoderBlock(TransformerBlock):
    """A transformer block that also attends to a memory, between its two other branches.

    With norm="post": `x = LN(x + MHA(x)); x = LN(x + MHA(x, memory)); x = LN(x + FFN(x))`, the
    first of them masked so that no token sees those after it; with "pre" each LN stands inside
    its branch. Keras has no such block. It equals `torch.nn.TransformerDecoderLayer` to 1e-5
    with its weights, and has `16 d^2 + 19 d` parameters at `feedforward_dim = 4 d`.

    Keras's own attention clears the mask that a memory carries, so that of two attention layers
    over one memory the second sees its padding (Keras 3.15); a stack of these blocks does not.

    Args:
        num_heads: h, which divides d.
        feedforward_dim: d_ff; None for 4 d.
        causal: Whether a token sees only itself and those before it.
        **options: Those of `TransformerBlock`: `norm`, `activation`, `drop_rate`,
            `attention_drop_rate`, `drop_path_rate`, `epsilon`, `feedforward`,
            `kernel_initializer`, `seed`, and as in `keras.layers.Layer`.

    Call arguments:
        x: (B, N, d) tokens.
        memory: (B, S, m) tokens to look at, usually an encoder's output.
        padding_mask: (B, N) bool, False where `x` has no token.
        memory_padding_mask: (B, S) bool, False where `memory` has no token. Masks that Keras
            carries along are used as well as both of these, and that of `x` is passed on.
        attention_mask: (N, N) or (B, N, N) bool, of the tokens of `x` among themselves.
        training: Whether to drop.

    Returns:
        (B, N, d) tokens. Those at padding are without meaning, but finite.

    Raises:
        ValueError: If an argument is out of its range; if `num_heads` does not divide d.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, Section 3.1. Deviations: those of
        `TransformerBlock`.

    Example:

    >>> import numpy as np
    >>> block = TransformerDecoderBlock(2)
    >>> tuple(block(np.ones((1, 5, 16)), np.ones((1, 7, 16))).shape)
    (1, 5, 16)
    >>> block.count_params() == 16 * 16**2 + 19 * 16
    True
    """

    def __init__(self, num_heads, feedforward_dim=None, *, causal=True, **options):
        super().__init__(num_heads, feedforward_dim, causal=causal, **options)

    def build(self, x_shape, memory_shape):
        super().build(x_shape)
        self.ln_cross = self._layer_norm("ln_cross")
        self.ln_cross.build(x_shape)
        self.cross_attention = self._attention(x_shape[-1], "cross_attention")
        self.cross_attention.build(x_shape, memory_shape)

    def call(
        self,
        x,
        memory,
        padding_mask=None,
        memory_padding_mask=None,
        attention_mask=None,
        training=None,
    ):
        x = self._attend_to_self(x, padding_mask, attention_mask, training)
        memory, memory_padding_mask = take_mask(memory, memory_padding_mask)
        mask = merge_masks(padding_mask=memory_padding_mask)

        def attention(x):
            return attend(self.cross_attention, x, memory, mask, training)

        x = self._residual(x, attention, self.ln_cross, training)
        return self._feed_forward(x, training)

    def compute_output_shape(self, x_shape, memory_shape=None):
        return x_shape
