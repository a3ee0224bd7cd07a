"""Positions as sines and cosines, added to tokens."""

import keras
from keras import ops

from kerakit.ops.sine_positions import sine_positions


@keras.saving.register_keras_serializable(package="kerakit")
class SinePositionEmbedding(keras.layers.Layer):
    """Adds fixed sines and cosines of their places to tokens, of a row, an image or a clip.

    `y_n = x_n + PE_n`, see `kerakit.ops.sine_positions`. On a grid, (B, H, W, d) or
    (B, T, H, W, d), each axis has an equal part of the d features: the first half tells the
    row, the second the column. No weights, so that it fits any number of tokens. Keras has no
    such layer.

    Args:
        longest: Ratio of the longest wavelength to the shortest, nearly.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, N, d) tokens, or on a grid (B, H, W, d) or (B, T, H, W, d); d a multiple of 2, 4
            or 6.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        ValueError: If `longest` is not above 1; if the shape of `x` does not fit.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, Section 3.5. Deviations: the split of
        the features on grids.

    Example:

    >>> import numpy as np
    >>> y = SinePositionEmbedding()(np.zeros((1, 2, 2)))
    >>> [[round(float(v), 3) for v in token] for token in y[0]]  # sin 0, cos 0; sin 1, cos 1
    [[0.0, 1.0], [0.841, 0.54]]
    """

    def __init__(self, *, longest=10_000.0, **options):
        if longest <= 1:
            raise ValueError(f"`longest` must be above 1, got {longest}.")
        super().__init__(**options)
        self.longest = longest
        self.supports_masking = True

    def build(self, input_shape):
        axes = len(input_shape) - 2
        if axes not in (1, 2, 3):
            raise ValueError(
                "`x` must be (B, N, d), (B, H, W, d) or (B, T, H, W, d), got shape "
                f"{tuple(input_shape)}."
            )
        if input_shape[-1] % (2 * axes):
            raise ValueError(
                f"The width of `x` must be a multiple of {2 * axes} to tell places along {axes} "
                f"axes, got {input_shape[-1]}."
            )

    def call(self, x):
        extent, axes = ops.shape(x)[1:-1], len(x.shape) - 2
        part = x.shape[-1] // axes
        dtype = keras.backend.result_type(x.dtype, "float32")
        tables = []
        for axis, size in enumerate(extent):
            table = sine_positions(ops.arange(size, dtype=dtype), part, longest=self.longest)
            shape = [1] * axes
            shape[axis] = size
            tables.append(ops.broadcast_to(ops.reshape(table, (*shape, part)), (*extent, part)))
        return x + ops.cast(ops.concatenate(tables, axis=-1), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "longest": self.longest}
