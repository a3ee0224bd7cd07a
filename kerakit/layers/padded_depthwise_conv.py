"""Depthwise convolution with as many zeros on both sides as one says."""

import keras
from keras import ops

from kerakit.layers.padded_conv import half_padding
from kerakit.ops.convolution_geometry import geometry, per_axis
from kerakit.ops.direct_convolution import direct_convolution


@keras.saving.register_keras_serializable(package="kerakit")
class PaddedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Convolution of each channel by itself, with P zeros on both sides as PyTorch counts it.

    `W_out = floor((W - F_eff + 2 P) / S) + 1` with `F_eff = (F - 1) d + 1`; F x F x C x M
    weights where a full convolution to M C channels has F x F x C x M C.

    Beside `keras.layers.DepthwiseConv2D` it differs as `PaddedConv2D` does from Keras's: "same"
    at stride 2 lies a pixel after PyTorch's on even sizes. The weights are Keras's, kernel
    (F, F, C, M) and bias (C M); output `c M + m` reads channel c.

    Args:
        kernel_size: F, an integer or (height, width).
        strides: S, likewise.
        padding: P, likewise, at least 0. None: `F_eff // 2`, which keeps the size at
            stride 1; odd windows only.
        dilation_rate: d, likewise.
        depth_multiplier: M, outputs for each channel.
        **options: As in `keras.layers.DepthwiseConv2D`: `use_bias`, `activation`,
            `depthwise_initializer`, `name`, `dtype` and so on. Channels are last.

    Returns:
        (B, H_out, W_out, C M) tensor.

    Raises:
        ValueError: If an argument is out of range, `padding` is None for an even window, no
            window fits, or a size is unknown where strides meet dilation.

    Reference:
        Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
        Applications, 2017, Eq. 3. Deviations: `depth_multiplier`, padding and dilation.

    Example:

    >>> import numpy as np
    >>> layer = PaddedDepthwiseConv2D(3, strides=2, padding=1)
    >>> tuple(layer(np.ones((1, 8, 8, 5))).shape), layer.count_params()
    ((1, 4, 4, 5), 50)
    """

    def __init__(
        self,
        kernel_size,
        *,
        strides=1,
        padding=0,
        dilation_rate=1,
        depth_multiplier=1,
        **options,
    ):
        super().__init__(
            kernel_size,
            depth_multiplier=depth_multiplier,
            data_format="channels_last",
            **options,
        )
        self.strides = per_axis(strides, 2, "strides")
        self.dilation_rate = per_axis(dilation_rate, 2, "dilation_rate")
        if padding is None:
            self.padding = half_padding(self.kernel_size, self.dilation_rate)
        else:
            self.padding = per_axis(padding, 2, "padding", least=0)

    def call(self, inputs):
        channels = inputs.shape[-1]
        # As a convolution in C groups, which has the same weights.
        kernel = ops.reshape(self.kernel, (*self.kernel_size, 1, channels * self.depth_multiplier))
        outputs = direct_convolution(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=channels,
        )
        if self.bias is not None:
            # Not `+`: on TensorFlow only this becomes a BiasAdd, which fuses with its neighbours.
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape):
        form = geometry(
            tuple(input_shape[1:-1]),
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )
        return (input_shape[0], *form.output_size, input_shape[-1] * self.depth_multiplier)

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config
