"""Stochastic depth: a residual branch left out, an example at a time."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class DropPath(keras.layers.Layer):
    """Sets whole examples of a residual branch to zero in training, at random.

    `y = x b / (1 - rate)` with one draw `b` of 0 or 1 an example, b = 1 with probability
    `1 - rate`, so that the expected output is x; at test time `y = x`. Put it at the end of a
    branch, before the sum.

    `keras.layers.Dropout(rate, noise_shape=(None, 1, 1))` does the same to (B, N, d), but must
    be told the rank: the same layer fails on the (B, H, W, C) of a convolutional block. This one
    takes any rank.

    Args:
        rate: Probability that a branch is left out, [0, 1).
        seed: Of the draws.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, ...) the branch's output.
        training: Whether to drop.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Reference:
        Huang et al., Deep Networks with Stochastic Depth, 2016, Eq. 2 and 5. Deviations: a draw
        an example instead of one a batch, and the division in training in place of a factor at
        test time.

    Example:

    >>> import numpy as np
    >>> y = DropPath(0.5, seed=1)(np.ones((100, 2, 3)), training=True)
    >>> sorted({float(v) for v in ops.reshape(y, (-1,))})  # kept ones are doubled
    [0.0, 2.0]
    """

    def __init__(self, rate, *, seed=None, **options):
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be in [0, 1), got {rate}.")
        super().__init__(**options)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        keep = 1.0 - self.rate
        shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        draws = keras.random.uniform(shape, seed=self.seed_generator)
        factors = ops.where(draws < keep, 1.0 / keep, 0.0)
        return x * ops.cast(factors, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
