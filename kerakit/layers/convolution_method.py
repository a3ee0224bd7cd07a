"""Keras's 2D convolution layer with another way to compute the convolution."""

from keras import ops


def convolve(layer, inputs, kernel, method):
    """A layer's convolution by a function of `kerakit.ops`, in the layer's data format."""
    is_last = layer.data_format == "channels_last"
    outputs = method(
        inputs if is_last else ops.transpose(inputs, (0, 2, 3, 1)),
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        groups=layer.groups,
    )
    return outputs if is_last else ops.transpose(outputs, (0, 3, 1, 2))
