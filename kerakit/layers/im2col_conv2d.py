"""2D convolution layer that computes by matrix products."""

import keras

from kerakit.layers.convolution_method import convolve
from kerakit.ops.convolution_im2col import explicit_im2col_convolution, im2col_convolution


@keras.saving.register_keras_serializable(package="kerakit")
class Im2ColConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` as matrix products, the im2col method.

    Im2col puts the input under each window into a row of a patch matrix; the convolution is the
    product of that matrix with the kernel as (kh kw C, K): what most libraries do inside. Keras
    has no layer that does it in the open. Textbook im2col copies each pixel kh kw times; the
    default here sums products over shifted views and holds at most a kernel row of copies. At
    3 x 3 over 8 x 56 x 56 x 64 to 64 channels it took 1.7 times Conv2D's time, 1.4 times with
    gradients; with the patch matrix of 58 MB 2.0 and 6.0 times (TensorFlow, two cores:
    `python -m benchmarks.convolution --only im2col`).

    Weights, arguments and results are those of `keras.layers.Conv2D`.

    Args:
        filters: Number of output channels.
        kernel_size: Integer, or (height, width) in pixels.
        explicit: Whether to build the patch matrix, as in textbooks.
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
        Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document
        Processing, 2006. Deviations: the patch matrix is not built unless `explicit`.

    Example:

    >>> import numpy as np
    >>> images = np.ones((1, 4, 4, 2), "float32")
    >>> layer = Im2ColConv2D(3, 3, kernel_initializer="ones")
    >>> outputs = keras.ops.convert_to_numpy(layer(images))
    >>> outputs.shape[1:], float(outputs[0, 0, 0, 0])
    ((2, 2, 3), 18.0)
    """

    def __init__(self, filters, kernel_size, *, explicit=False, **options):
        super().__init__(filters, kernel_size, **options)
        self.explicit = explicit

    def convolution_op(self, inputs, kernel):
        method = explicit_im2col_convolution if self.explicit else im2col_convolution
        return convolve(self, inputs, kernel, method)

    def get_config(self):
        return {**super().get_config(), "explicit": self.explicit}
