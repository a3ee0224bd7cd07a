"""The mean over windows of a fixed size, at all their places in a map."""

import keras
from keras import ops

from kerakit.ops.convolution_geometry import per_axis


@keras.saving.register_keras_serializable(package="kerakit")
class MeanOfWindows(keras.layers.Layer):
    """Mean of the means of all windows of a size, at stride 1.

    pytorchvideo's networks end so: windows of 7 x 7 cells, what a frame of 224 x 224 leaves, and
    of as many frames as they were trained on. On a larger map cells in the middle lie in more
    windows and count for more: along an axis of 8 cells under windows of 7 the first and last
    cell count 1/14 each and the others 1/7, where a plain mean counts 1/8. Windows are cut to
    the map, and then this is the plain mean.

    Args:
        window_size: (time, height, width), or one integer for all three.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: (B, T, H, W, C) map.

    Returns:
        (B, C) tensor.

    Raises:
        ValueError: If `window_size` is no positive integer or three of them.

    Example:

    >>> import numpy as np
    >>> layer = MeanOfWindows((1, 1, 2))
    >>> float(layer(np.array([4.0, 0.0, 0.0]).reshape(1, 1, 1, 3, 1))[0, 0])  # (2 + 0) / 2
    1.0
    """

    def __init__(self, window_size, **options):
        super().__init__(**options)
        self.window_size = per_axis(window_size, 3, "window_size")

    def call(self, inputs):
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        time, height, width = (
            _shares(size, window, dtype)
            for size, window in zip(ops.shape(inputs)[1:4], self.window_size, strict=True)
        )
        shares = time[:, None, None] * height[:, None] * width
        total = ops.sum(ops.cast(inputs, dtype) * shares[..., None], axis=(1, 2, 3))
        return ops.cast(total, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "window_size": self.window_size}


def _shares(size, window, dtype):
    """(size,) weights of a cell: windows that hold a cell, over cells of all windows."""
    window = ops.minimum(window, size)
    windows = size - window + 1
    places = ops.arange(size)
    from_ends = ops.minimum(places + 1, size - places)
    holding = ops.minimum(from_ends, ops.minimum(window, windows))
    return ops.cast(holding, dtype) / ops.cast(window * windows, dtype)
