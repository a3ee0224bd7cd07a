"""Transposed convolutions with as much cut off on both sides as one says."""

import keras

from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.transposed_convolution import (
    check_output_padding,
    transposed_convolution,
    transposed_size,
)


class _PaddedConvTranspose:
    """What the ranks share, in front of Keras's layer of the rank."""

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        strides=1,
        padding=0,
        output_padding=0,
        dilation_rate=1,
        **options,
    ):
        # Keras's class takes no numbers as padding, nor strides with dilation: set afterwards.
        super().__init__(filters, kernel_size, data_format="channels_last", **options)
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding = per_axis(padding, self.rank, "padding", least=0)
        self.output_padding = per_axis(output_padding, self.rank, "output_padding", least=0)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        check_output_padding(self.output_padding, self.strides)

    def call(self, inputs):
        outputs = transposed_convolution(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
        )
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape):
        axes = zip(
            input_shape[1:-1],
            self.kernel_size,
            self.strides,
            self.padding,
            self.output_padding,
            self.dilation_rate,
            strict=True,
        )
        return (input_shape[0], *(transposed_size(*axis) for axis in axes), self.filters)

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv1DTranspose(_PaddedConvTranspose, keras.layers.Conv1DTranspose):
    """Transposed convolution of (B, W, C), else as `PaddedConv2DTranspose`.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or a tuple of one.
        strides: S, likewise; so are `padding` P, `output_padding` and `dilation_rate`.
        **options: As in `keras.layers.Conv1DTranspose`.

    Returns:
        (B, (W - 1) S + F - 2 P + output_padding, K) tensor.

    Raises:
        ValueError: As in `PaddedConv2DTranspose`.

    Example:

    >>> import numpy as np
    >>> PaddedConv1DTranspose(3, 3, strides=2, padding=1)(np.ones((1, 5, 2))).shape[1]
    9
    """


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv2DTranspose(_PaddedConvTranspose, keras.layers.Conv2DTranspose):
    """Transposed convolution with P rows and columns cut off on both sides, as PyTorch's.

    `W_out = (W - 1) S + F_eff - 2 P + output_padding` with `F_eff = (F - 1) d + 1`.

    `keras.layers.Conv2DTranspose` with "valid" gives `(W - 1) S + max(F, S)`: 28 for 7 and
    F = 2, S = 4, where the formula gives 26. With "same" it gives `W S` and cuts one less before
    than after where the rest is odd: F = 3, S = 2 on 7 makes 14 from place 0 on, PyTorch with
    P = 1 and `output_padding=1` makes 14 from place 1 on. Weights are Keras's: kernel
    (F, F, K, C), bias. PyTorch's (C, K, F, F) is the same with its axes moved.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or (height, width).
        strides: S, likewise.
        padding: P, likewise, at least 0.
        output_padding: Further rows and columns at the end, likewise, less than S.
        dilation_rate: d, likewise, also together with strides.
        **options: As in `keras.layers.Conv2DTranspose`: `use_bias`, `activation`,
            `kernel_initializer`, `kernel_regularizer`, `name`, `dtype` and so on. Channels are
            last.

    Returns:
        (B, H_out, W_out, K) tensor.

    Raises:
        ValueError: If an argument is out of range or the output would be empty.

    Reference:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016,
        Relationship 14. Deviations: `output_padding` is its a.

    Example:

    >>> import numpy as np
    >>> layer = PaddedConv2DTranspose(8, 4, strides=2, padding=1)
    >>> tuple(layer(np.ones((1, 7, 9, 3))).shape)
    (1, 14, 18, 8)
    """


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv3DTranspose(_PaddedConvTranspose, keras.layers.Conv3DTranspose):
    """Transposed convolution of (B, T, H, W, C), else as `PaddedConv2DTranspose`.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or (time, height, width).
        strides: S, likewise; so are `padding` P, `output_padding` and `dilation_rate`.
        **options: As in `keras.layers.Conv3DTranspose`.

    Returns:
        (B, T_out, H_out, W_out, K) tensor, sizes as in `PaddedConv2DTranspose`.

    Raises:
        ValueError: As in `PaddedConv2DTranspose`.

    Example:

    >>> import numpy as np
    >>> layer = PaddedConv3DTranspose(4, (1, 2, 2), strides=(1, 2, 2))
    >>> tuple(layer(np.ones((1, 2, 3, 3, 2))).shape)
    (1, 2, 6, 6, 4)
    """
