"""Batch normalisation with fixed statistics, scale and offset."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class FrozenBatchNormalization(keras.layers.Layer):
    """Multiplies and adds by channel what a trained batch normalisation would.

    `y = x s + (beta - moving_mean s)` with `s = gamma / sqrt(moving_variance + epsilon)`, in
    training too. Detectors train on one or two images at a time, too few for statistics, and
    so keep those of the classifier they start from.

    `keras.layers.BatchNormalization` with `trainable = False` gives the same numbers, until
    someone sets `trainable = True` on the model around it: then it normalises by the batch
    again. This layer has no trainable weights (C x 4 weights, 0 trainable, against 2 C), so
    that no switch can thaw it. Their names and order are the same: `set_weights` takes those of
    the trained layer, or of a whole model with it. (A `.weights.h5` does not go over: Keras
    files weights there by the class.)

    Args:
        epsilon: Positive number added to the variance; that of the layer that was trained.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Returns:
        Tensor of the shape of the input, (B, ..., C).

    Raises:
        ValueError: If `epsilon` is not positive.

    Reference:
        He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016, Appendix A,
        which fixes the statistics for detection. Deviations: none.

    Example:

    >>> import numpy as np
    >>> layer = FrozenBatchNormalization()
    >>> layer.build((None, 1))
    >>> layer.set_weights([np.array([v]) for v in (2.0, 1.0, 5.0, 4.0)])
    >>> round(float(layer(np.array([[9.0]]))[0, 0]), 3)  # 2 (9 - 5) / 2 + 1
    5.0
    """

    def __init__(self, *, epsilon=1e-5, **options):
        if epsilon <= 0:
            raise ValueError(f"`epsilon` must be positive, got {epsilon}.")
        super().__init__(**options)
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape):
        def weight(name, initializer):
            return self.add_weight(
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=False,
                autocast=False,
                name=name,
            )

        self.gamma = weight("gamma", "ones")
        self.beta = weight("beta", "zeros")
        self.moving_mean = weight("moving_mean", "zeros")
        self.moving_variance = weight("moving_variance", "ones")

    def call(self, inputs, training=None, mask=None):
        # Called like the layer in whose place a copy of a trained model has it.
        del training, mask
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        offset = self.beta - self.moving_mean * scale
        outputs = ops.cast(inputs, scale.dtype) * scale + offset
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
