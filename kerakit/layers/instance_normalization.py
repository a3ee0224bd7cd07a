"""Normalisation of each channel of each example by itself."""

import keras
from keras import ops

from kerakit.ops.moments import moments


@keras.saving.register_keras_serializable(package="kerakit")
class InstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each example over its places alone.

    `y = gamma (x - mean) / sqrt(variance + epsilon) + beta` with mean and variance over H x W
    (or T x H x W) of one channel of one example: no batch, no moving statistics, the same in
    training and at test time. It takes the contrast of each image away.

    `keras.layers.GroupNormalization(groups=-1)` computes the same, and hides it: -1 stands for
    as many groups as channels, epsilon is 1e-3 in place of PyTorch's 1e-5 (an 8-bit image
    divided by 255 with a deviation of 1/255 comes out at 0.12 of its size instead of 0.78), and
    once built its `get_config` says `groups: C`, so that a copy refuses other channels.

    Args:
        epsilon: Positive number added to the variance.
        center: Whether to add a trainable `beta` a channel.
        scale: Whether to multiply by a trainable `gamma` a channel.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Returns:
        Tensor of the shape of the input. Statistics are taken in float32 at least.

    Raises:
        ValueError: If `epsilon` is not positive, or the input has no place axis.

    Reference:
        Ulyanov, Vedaldi and Lempitsky, Instance Normalization: The Missing Ingredient for Fast
        Stylization, 2016. Deviations: gamma and beta, as PyTorch's `affine=True`.

    Example:

    >>> import numpy as np
    >>> image = np.array([1.0, 3.0, 1.0, 3.0]).reshape(1, 2, 2, 1)
    >>> y = InstanceNormalization()(image)
    >>> [round(float(v), 3) for v in ops.reshape(y, (-1,))]
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, *, epsilon=1e-5, center=True, scale=True, **options):
        if epsilon <= 0:
            raise ValueError(f"`epsilon` must be positive, got {epsilon}.")
        super().__init__(**options)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.gamma = self.beta = None

    def build(self, input_shape):
        if len(input_shape) < 3:
            raise ValueError(
                "`inputs` must be (B, ..., C) with at least one axis of places, got shape "
                f"{tuple(input_shape)}."
            )
        shape = (input_shape[-1],)
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape, initializer="ones", autocast=False, name="gamma"
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape, initializer="zeros", autocast=False, name="beta"
            )

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        places = tuple(range(1, len(inputs.shape) - 1))
        mean, variance = moments(x, axes=places)
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * ops.cast(self.gamma, x.dtype)
        offset = -mean * factor
        if self.beta is not None:
            offset = offset + ops.cast(self.beta, x.dtype)
        return ops.cast(x * factor + offset, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"epsilon": self.epsilon, "center": self.center, "scale": self.scale}
        return {**super().get_config(), **own}
