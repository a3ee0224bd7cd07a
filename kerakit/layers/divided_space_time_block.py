"""The transformer block of clips that attends over time and over space in turn."""

import keras
from keras import ops

from kerakit.layers.arguments import check_whole
from kerakit.layers.transformer_block import TransformerBlock, attend


@keras.saving.register_keras_serializable(package="kerakit")
class DividedSpaceTimeBlock(TransformerBlock):
    """Self-attention over the frames of each place, then over the places of each frame.

        x = x + MHA_time(LN(x));   x = x + MHA_space(LN(x));   x = x + FFN(LN(x))

    Of T frames with S places each, a token is compared with T + S others instead of T S: 72 in
    place of 512 at 8 frames of 8 x 8. A block of width d has `16 d^2 + 19 d` parameters at
    `feedforward_dim = 4 d`, 4/3 of the joint one's. Keras has no such block.

    Args:
        num_heads: h, which divides d.
        frames: T, which divides the number of tokens.
        activation: Of the feed-forward.
        **options: As in `TransformerBlock`, whose norm stands before each branch here; without
            `norm` and `causal`.

    Call arguments:
        x: (B, T S, d) tokens, frame by frame, as `PatchEmbedding` gives them.
        training: Whether to drop.

    Returns:
        (B, T S, d) tokens.

    Raises:
        ValueError: If an argument is out of its range; if `frames` does not divide the tokens.

    Reference:
        Bertasius, Wang and Torresani, Is Space-Time Attention All You Need for Video
        Understanding?, 2021, Eq. 5 to 9 and Fig. 2 (divided). Deviations: no class token, and no
        further projection behind the attention over time.

    Example:

    >>> import numpy as np
    >>> block = DividedSpaceTimeBlock(2, frames=3)
    >>> tuple(block(np.ones((1, 12, 16))).shape)
    (1, 12, 16)
    >>> block.count_params() == 16 * 16**2 + 19 * 16
    True
    """

    def __init__(self, num_heads, *, frames, activation="gelu", **options):
        check_whole(frames=frames)
        for fixed in ("norm", "causal"):
            if fixed in options:
                raise ValueError(f"`{fixed}` is nothing that a divided block has.")
        super().__init__(num_heads, norm="pre", activation=activation, **options)
        self.frames = frames

    def build(self, input_shape):
        super().build(input_shape)
        if input_shape[1] is None or input_shape[1] % self.frames:
            raise ValueError(
                f"`frames` must divide the number of tokens, got {self.frames} frames for "
                f"{input_shape[1]} tokens."
            )
        self.ln_time = self._layer_norm("ln_time")
        self.time_attention = self._attention(input_shape[-1], "time_attention")
        self.ln_time.build(input_shape)
        self.time_attention.build(input_shape, input_shape)

    def call(self, x, training=None):
        places = x.shape[1] // self.frames

        def over_time(x):
            x = ops.reshape(x, (-1, self.frames, places, x.shape[-1]))
            x = ops.reshape(ops.swapaxes(x, 1, 2), (-1, self.frames, x.shape[-1]))
            x = attend(self.time_attention, x, x, None, training)
            x = ops.swapaxes(ops.reshape(x, (-1, places, self.frames, x.shape[-1])), 1, 2)
            return ops.reshape(x, (-1, self.frames * places, x.shape[-1]))

        def over_space(x):
            frames = ops.reshape(x, (-1, places, x.shape[-1]))
            frames = attend(self.self_attention, frames, frames, None, training)
            return ops.reshape(frames, (-1, self.frames * places, x.shape[-1]))

        x = self._residual(x, over_time, self.ln_time, training)
        x = self._residual(x, over_space, self.ln_1, training)
        return self._feed_forward(x, training)

    def get_config(self):
        config = {**super().get_config(), "frames": self.frames}
        del config["norm"], config["causal"]
        return config
