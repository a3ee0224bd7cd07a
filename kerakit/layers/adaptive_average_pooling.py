"""Average pooling to a given size, from maps of any."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class AdaptiveAveragePooling2D(keras.layers.AdaptiveAveragePooling2D):
    """Average pooling of (B, H, W, C) maps to (h, w), larger or smaller.

    Output i of an axis is the mean of the places from `floor(i H / h)` to `ceil((i + 1) H / h)`,
    as in PyTorch. `keras.layers.AdaptiveAveragePooling2D` (3.15) answers NaN on JAX where a map is
    smaller than what it is pooled to, as VGG's are for images below 224 pixels. Here each axis is
    a product with the matrix of its means, the same on every backend.

    Args:
        output_size: (h, w), or an integer for both.
        **options: As in `keras.layers.Layer`: `name`, `dtype`. Channels are last.

    Returns:
        (B, h, w, C) tensor.

    Raises:
        ValueError: If a size of the maps is unknown.

    Example:

    >>> maps = ops.reshape(ops.arange(3.0), (1, 1, 3, 1))
    >>> [float(v) for v in AdaptiveAveragePooling2D((1, 2))(maps)[0, 0, :, 0]]
    [0.5, 1.5]
    """

    def __init__(self, output_size, **options):
        super().__init__(output_size, **{**options, "data_format": "channels_last"})
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        if None in input_shape[1:3]:
            raise ValueError(f"Maps must have a known size, got shape {tuple(input_shape)}.")
        super().build(input_shape)

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        rows, columns = map(_means, (height, width), self.output_size)
        dtype = inputs.dtype
        pooled = ops.einsum("ih,bhwc->biwc", ops.cast(rows, dtype), inputs)
        return ops.einsum("jw,biwc->bijc", ops.cast(columns, dtype), pooled)

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config


def _means(size, outputs):
    """(outputs, size) matrix, a row the weights of one mean."""
    starts = np.arange(outputs) * size // outputs
    ends = -(-(np.arange(outputs) + 1) * size // outputs)
    places = np.arange(size)
    inside = (starts[:, None] <= places) & (places < ends[:, None])
    return inside / inside.sum(1, keepdims=True)
