"""Max unpooling: values put back where a max pooling took them from."""

import keras

from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.max_pooling import pooling_geometry
from kerakit.ops.max_unpooling import max_unpooling, unpooled_size


@keras.saving.register_keras_serializable(package="kerakit")
class MaxUnpool2D(keras.layers.Layer):
    """Puts each value at its index in a plane of zeros, the inverse of max pooling.

    `keras.layers.UpSampling2D` repeats a value over its window; this layer puts it back where
    `MaxPooling2DWithIndices` found it, so that edges stay in place. See
    `kerakit.ops.max_unpooling`, also for windows that overlap.

    Args:
        pool_size: F of the pooling, an integer or (height, width).
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        values: (B, h, w, C) tensor.
        indices: (B, h, w, C) integers, `row W_out + column`.
        output_size: (H_out, W_out), the size that was pooled, needed where pooling left a rest;
            None: `(h - 1) S + F - 2 P`.
        like: (B, H_out, W_out, ...) tensor that gives the size in place of `output_size`, such as
            what was pooled: for a model of images of any size.

    Returns:
        (B, H_out, W_out, C) tensor.

    Raises:
        ValueError: If an argument is out of range, the shapes differ, or `output_size` is not
            within a stride of its default.

    Reference:
        Badrinarayanan, Kendall and Cipolla, SegNet: A Deep Convolutional Encoder-Decoder
        Architecture for Image Segmentation, 2017, Fig. 3. Deviations: none.

    Example:

    >>> import numpy as np
    >>> from kerakit.layers import MaxPooling2DWithIndices
    >>> image = np.array([[1.0, 0.0, 2.0, 3.0], [4.0, 0.0, 5.0, 0.0]]).reshape(1, 2, 4, 1)
    >>> values, indices = MaxPooling2DWithIndices(2)(image)
    >>> y = MaxUnpool2D(2)(values, indices)
    >>> [[float(v) for v in row] for row in y[0, :, :, 0]]
    [[0.0, 0.0, 0.0, 0.0], [4.0, 0.0, 5.0, 0.0]]
    """

    def __init__(self, pool_size, *, strides=None, padding=0, **options):
        super().__init__(**options)
        self.pool_size = per_axis(pool_size, 2, "pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, 2, "strides")
        self.padding = per_axis(padding, 2, "padding", least=0)
        pooling_geometry((None, None), self.pool_size, self.strides, self.padding)

    def call(self, values, indices, output_size=None, like=None):
        if like is not None:
            output_size = keras.ops.shape(like)[1:3]
        return max_unpooling(
            values,
            indices,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            output_size=output_size,
        )

    def compute_output_spec(self, values, indices, output_size=None, like=None):
        batch, *size, channels = values.shape
        if like is not None:
            output_size = like.shape[1:3]
        elif output_size is None:
            form = pooling_geometry((None, None), self.pool_size, self.strides, self.padding)
            output_size = unpooled_size(size, form)
        shape = (batch, *output_size, channels)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        own = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **own}
