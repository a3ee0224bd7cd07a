"""Max pooling of images with padding on both sides."""

import keras

from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.max_pooling import max_pooling, max_pooling_with_indices, pooling_geometry


class _MaxPooling(keras.layers.Layer):
    def __init__(self, pool_size, *, strides=None, padding=0, **options):
        super().__init__(**options)
        self.pool_size = per_axis(pool_size, 2, "pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, 2, "strides")
        self.padding = per_axis(padding, 2, "padding", least=0)
        pooling_geometry((None, None), self.pool_size, self.strides, self.padding)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _output_shape(self, input_shape):
        size = tuple(input_shape[1:3])
        form = pooling_geometry(size, self.pool_size, self.strides, self.padding)
        return (input_shape[0], *form.output_size, input_shape[3])

    def get_config(self):
        own = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedMaxPooling2D(_MaxPooling):
    """Max pooling with P rows and columns of padding on both sides, as PyTorch counts it.

    `W_out = floor((W + 2 P - F) / S) + 1`. `keras.layers.MaxPooling2D` with "same" puts nothing
    before a 3 x 3 window at stride 2 on an even size, so that its windows lie a pixel after
    PyTorch's (on 0, 1, 2, 3 it gives 2, 3 and this layer 1, 3); with a layer of zeros before it
    a window of negative values at the edge comes out as 0.

    Args:
        pool_size: F, an integer or (height, width).
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise, at most half of `pool_size`.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Returns:
        (B, H_out, W_out, C) tensor.

    Raises:
        ValueError: If an argument is out of range or no window fits.

    Example:

    >>> import numpy as np
    >>> pooled = PaddedMaxPooling2D((1, 3), strides=(1, 2), padding=(0, 1))(
    ...     np.arange(4.0).reshape(1, 1, 4, 1)
    ... )
    >>> [float(v) for v in pooled[0, 0, :, 0]]
    [1.0, 3.0]
    """

    def call(self, inputs):
        return max_pooling(inputs, self.pool_size, strides=self.strides, padding=self.padding)

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape)


@keras.saving.register_keras_serializable(package="kerakit")
class MaxPooling2DWithIndices(_MaxPooling):
    """Max pooling that also tells where each maximum was, for `MaxUnpool2D`.

    The values are `PaddedMaxPooling2D`'s. An index is `row W + column` in the plane of its
    channel, padding not counted; of equal values the first in reading order counts. Keras has
    no such layer.

    Args:
        pool_size: F, an integer or (height, width).
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise, at most half of `pool_size`.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Returns:
        Tuple of (B, H_out, W_out, C) values and their int32 indices.

    Raises:
        ValueError: If an argument is out of range or no window fits.

    Reference:
        Badrinarayanan, Kendall and Cipolla, SegNet: A Deep Convolutional Encoder-Decoder
        Architecture for Image Segmentation, 2017, Section 3. Deviations: none.

    Example:

    >>> import numpy as np
    >>> image = np.array([[1.0, 0.0, 2.0, 3.0], [4.0, 0.0, 5.0, 0.0]]).reshape(1, 2, 4, 1)
    >>> values, indices = MaxPooling2DWithIndices(2)(image)
    >>> [int(i) for i in indices[0, 0, :, 0]]
    [4, 6]
    """

    def call(self, inputs):
        return max_pooling_with_indices(
            inputs, self.pool_size, strides=self.strides, padding=self.padding
        )

    def compute_output_spec(self, inputs):
        shape = self._output_shape(inputs.shape)
        values = keras.KerasTensor(shape, dtype=self.compute_dtype)
        return values, keras.KerasTensor(shape, dtype="int32")
