"""2D convolution layer for large kernels."""

import keras

from kerakit.layers.convolution_method import convolve
from kerakit.ops.convolution_fft import fft_convolution


@keras.saving.register_keras_serializable(package="kerakit")
class FFTConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` by way of Fourier transforms, for large kernels.

    The transform of a convolution is the product of the transforms, so that the work does not
    grow with the kernel's area; see `kerakit.ops.convolution` for a count of it. Keras's layer
    convolves directly whatever the size: with 31 x 31 kernels over 4 x 96 x 96 x 32 to 32
    channels this one took 0.09 of its time, and 0.05 with gradients (TensorFlow, two cores, the
    latter without oneDNN, whose gradient did not end: `python -m benchmarks.convolution --only
    fft`).

    Weights, arguments and results are those of `keras.layers.Conv2D`, in float32 up to rounding
    of the order 1e-6 of the largest output. Under mixed precision the transforms are float32.

    Args:
        filters: Number of output channels.
        kernel_size: Integer, or (height, width) in pixels.
        **options: As in `keras.layers.Conv2D`: `strides`, `padding`, `dilation_rate`, `groups`,
            `activation`, `use_bias`, initializers, regularizers and constraints, `data_format`,
            `name`, `dtype`.

    Call arguments:
        inputs: (B, H, W, C) images of static size; (B, C, H, W) with `"channels_first"`.

    Returns:
        Tensor (B, H_out, W_out, filters), or channels first.

    Raises:
        ValueError: If an option is unknown or out of range, or the images' size is unknown.

    Reference:
        Mathieu, Henaff and LeCun, Fast Training of Convolutional Networks through FFTs, 2014,
        Section 2. Deviations: transforms as matrix products.

    Example:

    >>> import numpy as np
    >>> images = np.ones((1, 40, 40, 1), "float32")
    >>> layer = FFTConv2D(2, 31, padding="same", kernel_initializer="ones")
    >>> outputs = keras.ops.convert_to_numpy(layer(images))
    >>> outputs.shape[1:], round(float(outputs[0, 20, 20, 0]), 2)
    ((40, 40, 2), 961.0)
    """

    def __init__(self, filters, kernel_size, **options):
        super().__init__(filters, kernel_size, **options)

    def convolution_op(self, inputs, kernel):
        return convolve(self, inputs, kernel, fft_convolution)
