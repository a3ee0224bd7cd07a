"""A layer of images, on each frame of a clip."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class EachFrame(keras.layers.Wrapper):
    """Applies a layer of images to each frame of a clip, or to each s-th.

    The frames of all clips are one batch of images, (B T, H, W, C): one call of the layer,
    where `keras.layers.TimeDistributed` makes a call for each frame.

    Args:
        layer: Layer of (B, H, W, C) images that needs no `training`.
        stride: s, frames from one that is kept to the next; the first is.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: (B, T, ...) clips, of images or of what a layer made of each.

    Returns:
        (B, ceil(T / s), ...) tensor.

    Raises:
        ValueError: If `stride` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> layer = EachFrame(keras.layers.MaxPooling2D(2), stride=2)
    >>> tuple(layer(np.ones((1, 5, 8, 8, 3))).shape)
    (1, 3, 4, 4, 3)
    """

    def __init__(self, layer, *, stride=1, **options):
        if not isinstance(stride, int) or stride < 1:
            raise ValueError(f"`stride` must be a positive integer, got {stride!r}.")
        super().__init__(layer, **options)
        self.stride = stride

    def build(self, input_shape):
        super().build((None, *input_shape[2:]))

    def call(self, inputs):
        if self.stride > 1:
            inputs = inputs[:, :: self.stride]
        shape = ops.shape(inputs)
        outputs = self.layer(ops.reshape(inputs, (-1, *shape[2:])))
        return ops.reshape(outputs, (-1, shape[1], *ops.shape(outputs)[1:]))

    def compute_output_shape(self, input_shape):
        batch, frames, *rest = input_shape
        _, *rest = self.layer.compute_output_shape((None, *rest))
        frames = None if frames is None else -(-frames // self.stride)
        return (batch, frames, *rest)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}
