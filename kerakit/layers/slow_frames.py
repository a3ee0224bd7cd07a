"""The frames of a clip that a slow path sees."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class SlowFrames(keras.layers.Layer):
    """Every alpha-th frame of a clip, spread from its first to its last.

    Of T frames `n = T // alpha`, at `floor(i (T - 1) / (n - 1))` for i = 0 .. n - 1: of 32 with
    alpha 8 these are 0, 10, 20 and 31, as in pytorchvideo's transform for SlowFast.

    Args:
        alpha: Frames of the clip for each one that is kept, at least 1.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        clips: (B, T, ...) tensor.

    Returns:
        (B, T // alpha, ...) tensor.

    Raises:
        ValueError: If `alpha` is not a positive integer, or does not divide T.

    Example:

    >>> import numpy as np
    >>> [int(i) for i in SlowFrames(4)(np.arange(16.0)[None])[0]]
    [0, 5, 10, 15]
    """

    def __init__(self, alpha, **options):
        if not isinstance(alpha, int) or alpha < 1:
            raise ValueError(f"`alpha` must be a positive integer, got {alpha!r}.")
        super().__init__(**options)
        self.alpha = alpha

    def call(self, clips):
        frames = ops.shape(clips)[1]
        if isinstance(frames, int) and (frames < 1 or frames % self.alpha):
            raise ValueError(f"`clips` must have a multiple of {self.alpha} frames, got {frames}.")
        kept = frames // self.alpha
        # Of one frame the first: 0 over anything.
        indices = ops.arange(kept) * (frames - 1) // ops.maximum(kept - 1, 1)
        return ops.take(clips, indices, axis=1)

    def compute_output_shape(self, input_shape):
        batch, frames, *rest = input_shape
        return (batch, None if frames is None else frames // self.alpha, *rest)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}
