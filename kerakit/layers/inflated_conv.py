"""A convolution of clips that goes on past both ends of a clip with its first and last frame."""

import keras
from keras import ops

from kerakit.layers.padded_conv import PaddedConv3D
from kerakit.ops.direct_convolution import direct_convolution


@keras.saving.register_keras_serializable(package="kerakit")
class InflatedConv3D(PaddedConv3D):
    """Convolution over t x k x k that repeats the first and the last frame at a clip's ends.

    With zeros there, as `PaddedConv3D` has them, a clip of one repeated picture gives another
    answer in its first and last frames than in between: of a kernel of ones a third, over 3
    frames, less. Here every frame sees t frames of the picture, so that a kernel of images,
    repeated t times and divided by t, gives what it gives for the picture.

    It runs as one convolution of images of t C channels, the frames of a window side by side;
    with groups (a depthwise convolution among them), as t convolutions and their sum.

    Args:
        filters: K, size of the output's last axis.
        kernel_size: (t, height, width), or one integer for all three.
        padding: (time, height, width), or one integer: repeated frames before and after, and
            zeros around a frame; None: what keeps the size at stride 1. `"same"`: Keras's rule
            around a frame, and `t // 2` frames, for an odd t.
        **options: As in `PaddedConv3D`: `strides`, `dilation_rate` (1 in time), `groups`,
            `use_bias`, `activation` and so on.

    Returns:
        (B, T_out, H_out, W_out, K) tensor, sizes as in `PaddedConv3D`.

    Raises:
        ValueError: As in `PaddedConv3D`, if time is dilated, or t is even under `"same"`.

    Reference:
        Carreira and Zisserman, Quo Vadis, Action Recognition?, 2017, Section 2.4.1. Deviations:
        the repeated frames.

    Example:

    >>> import numpy as np
    >>> layer = InflatedConv3D(1, (3, 1, 1), kernel_initializer="ones")
    >>> [float(v) for v in layer(np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1, 1))[0, :, 0, 0, 0]]
    [4.0, 7.0, 10.0]
    """

    def __init__(self, filters, kernel_size, *, padding=None, **options):
        is_same = padding == "same"
        super().__init__(filters, kernel_size, padding=0 if is_same else padding, **options)
        if self.dilation_rate[0] != 1:
            raise ValueError(f"`dilation_rate` must be 1 in time, got {self.dilation_rate}.")
        if is_same:
            if self.kernel_size[0] % 2 == 0:
                raise ValueError(
                    f'`kernel_size` must be odd in time under "same", got {self.kernel_size}.'
                )
            self.padding = "same"

    def call(self, inputs):
        if self.padding == "same":  # of which `PaddedConv3D` knows nothing
            return self._finished(self.convolution_op(inputs, self.kernel))
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        taps, step = self.kernel_size[0], self.strides[0]
        is_same = self.padding == "same"
        ends = taps // 2 if is_same else self.padding[0]
        clips = (
            ops.concatenate([*[inputs[:, :1]] * ends, inputs, *[inputs[:, -1:]] * ends], axis=1)
            if ends
            else inputs
        )
        last = ops.shape(clips)[1] - taps  # start of the last window
        seen = [clips[:, tap : last + tap + 1 : step] for tap in range(taps)]
        frames, sizes = ops.shape(seen[0])[1], ops.shape(inputs)[2:]

        def convolve(x, weights):
            return direct_convolution(
                ops.reshape(x, (-1, *sizes[:2], x.shape[-1])),
                weights,
                strides=self.strides[1:],
                padding="same" if is_same else self.padding[1:],
                dilation_rate=self.dilation_rate[1:],
                groups=self.groups,
            )

        if self.groups == 1:
            side_by_side = ops.moveaxis(kernel, 0, 2)  # (k, k, t, C, K)
            shape = (*kernel.shape[1:3], taps * kernel.shape[3], kernel.shape[4])
            outputs = convolve(ops.concatenate(seen, axis=-1), ops.reshape(side_by_side, shape))
        else:
            outputs = sum(convolve(x, kernel[tap]) for tap, x in enumerate(seen))
        return ops.reshape(outputs, (-1, frames, *ops.shape(outputs)[1:]))
