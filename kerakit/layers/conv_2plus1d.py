"""A 3D convolution taken apart: over space, then over time."""

import keras

from kerakit.initializers import another
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.padded_conv import PaddedConv3D, half_padding
from kerakit.ops.convolution_geometry import per_axis


@keras.saving.register_keras_serializable(package="kerakit")
class Conv2Plus1D(keras.layers.Layer):
    """Convolution over (1, k, k) of each frame, norm and ReLU, then over (t, 1, 1) of time.

    A convolution over t x k x k in two steps with a nonlinearity between. With
    `M = floor(t k k C K / (k k C + t K))` channels between them it has about as many weights as
    the whole (t k k C K): of 110,592 for 3 x 3 x 3, 64 to 64 channels, it has 110,592 with
    M = 144, and 288 of the norm. Keras has no such layer.

    Sub-layers are called "0", "1" and "3", as in torchvision's `Conv2Plus1D` ("2" is the ReLU).
    The spatial one runs as a 2D convolution of the frames, see `PaddedConv3D`; the temporal one
    in 3D (folding H x W into one axis took 464 ms a step where 3D took 268).

    Args:
        filters: K, size of the output's last axis.
        kernel_size: (t, k, k), or one integer for all three.
        strides: (time, height, width), or an integer.
        padding: Zeros on both sides, likewise; None: what keeps the size at stride 1.
        mid_filters: M; None: by the formula. torchvision's second convolution of a block has
            the M of the first.
        kernel_initializer: Of both kernels.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: (B, T, H, W, C) clips.
        training: Whether the norm goes by the batch.

    Returns:
        (B, T_out, H_out, W_out, K) tensor, without bias.

    Raises:
        ValueError: If an argument is out of range or the two spatial sizes of the kernel differ.

    Reference:
        Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2018,
        Section 3.5. Deviations: none.

    Example:

    >>> import numpy as np
    >>> layer = Conv2Plus1D(64, 3, strides=2)
    >>> tuple(layer(np.ones((1, 4, 8, 8, 64))).shape), layer.mid_filters
    ((1, 2, 4, 4, 64), 144)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        strides=1,
        padding=None,
        mid_filters=None,
        kernel_initializer="glorot_uniform",
        **options,
    ):
        super().__init__(**options)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(f"`filters` must be a positive integer, got {filters!r}.")
        self.filters = filters
        self.kernel_size = per_axis(kernel_size, 3, "kernel_size")
        if self.kernel_size[1] != self.kernel_size[2]:
            raise ValueError(f"`kernel_size` must be (t, k, k), got {self.kernel_size}.")
        self.strides = per_axis(strides, 3, "strides")
        if padding is None:
            self.padding = half_padding(self.kernel_size, (1, 1, 1))
        else:
            self.padding = per_axis(padding, 3, "padding", least=0)
        if mid_filters is not None and (not isinstance(mid_filters, int) or mid_filters < 1):
            raise ValueError(f"`mid_filters` must be a positive integer, got {mid_filters!r}.")
        self._given_mid_filters = self.mid_filters = mid_filters
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        t, k, _ = self.kernel_size
        if self._given_mid_filters is None:
            self.mid_filters = factorised_filters(input_shape[-1], self.filters, t=t, k=k)
        self.spatial = self._convolution(self.mid_filters, (False, True, True), "0")
        self.norm = BatchNormalization(dtype=self.dtype_policy, name="1")
        self.temporal = self._convolution(self.filters, (True, False, False), "3")
        shape = tuple(input_shape)
        for layer in (self.spatial, self.norm, self.temporal):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def _convolution(self, filters, axes, name):
        def along(sizes, other):
            return tuple(n if on else other for n, on in zip(sizes, axes, strict=True))

        return PaddedConv3D(
            filters,
            along(self.kernel_size, 1),
            strides=along(self.strides, 1),
            padding=along(self.padding, 0),
            use_bias=False,
            kernel_initializer=another(self.kernel_initializer, int(name)),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs, training=None):
        x = self.norm(self.spatial(inputs), training=training)
        return self.temporal(keras.ops.relu(x))

    def compute_output_shape(self, input_shape):
        sizes = zip(input_shape[1:4], self.kernel_size, self.strides, self.padding, strict=True)
        outputs = (None if n is None else (n + 2 * p - f) // s + 1 for n, f, s, p in sizes)
        return (input_shape[0], *outputs, self.filters)

    def get_config(self):
        own = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "mid_filters": self._given_mid_filters,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **own}


def factorised_filters(channels, filters, *, t=3, k=3):
    """M, by which two steps have as many weights as one convolution over t x k x k; at least 1."""
    return max(1, (t * k * k * channels * filters) // (k * k * channels + t * filters))
