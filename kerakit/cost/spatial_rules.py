"""Rules of what works on neighbouring positions: convolutions, poolings, paddings, resizing.

A layer and the function of `keras.ops` have attributes of the same names, so that one rule does
for both; only the kernel stands in the layer, and among the function's arguments.
"""

import math

from keras.layers import Layer

from kerakit.cost import formulas
from kerakit.cost.reach import Taps, convolution, linear, moved, nearest, transposed_convolution
from kerakit.cost.rule import Cost


def convolution_rule(call):
    kernel = _kernel(call, 1)
    channels = call.input_shape[_channels(call)]
    macs = formulas.convolution_macs(
        kernel[:-2], channels, call.elements, groups=channels // kernel[-2]
    )
    return with_activation(call, macs, call.field.through(window_taps(call, kernel[:-2])))


def depthwise_rule(call):
    kernel = _kernel(call, 1)
    macs = formulas.convolution_macs(kernel[:-2], 1, call.elements)
    return with_activation(call, macs, call.field.through(window_taps(call, kernel[:-2])))


def separable_rule(call):
    if isinstance(call.layer, Layer):
        depthwise, pointwise = call.layer.depthwise_kernel, call.layer.pointwise_kernel
    else:
        depthwise, pointwise = call.inputs[1], call.inputs[2]
    kernel, (filters, outputs) = depthwise.shape[:-2], pointwise.shape[-2:]
    positions = call.elements // outputs
    macs = formulas.convolution_macs(kernel, 1, positions * filters)
    macs += formulas.convolution_macs((1,), filters, call.elements)
    return with_activation(call, macs, call.field.through(window_taps(call, kernel)))


def transposed_rule(call):
    *kernel, filters, _ = _kernel(call, 1)
    macs = formulas.transposed_convolution_macs(kernel, filters, math.prod(call.input_shape))
    taps = {}
    for place, axis in enumerate(spatial_axes(call)):
        size, stride = kernel[place], _each(call.layer.strides, len(kernel))[place]
        dilation = _each(call.layer.dilation_rate, len(kernel))[place]
        pad = _given_padding(call, place)
        if call.layer.padding == "same":
            # It undoes a "same" convolution whose input has the size of this output.
            inputs, outputs = call.input_shape[axis], call.output_shape[axis]
            span = formulas.effective_kernel(size, dilation=dilation)
            pad = max((inputs - 1) * stride + span - outputs, 0) // 2
        taps[axis] = transposed_convolution(size, stride=stride, dilation=dilation, pad=pad)
    return with_activation(call, macs, call.field.through(taps))


def max_pooling_rule(call):
    taps = window_taps(call, _each(call.layer.pool_size, len(spatial_axes(call))))
    return Cost(flops=formulas.max_pooling_flops(call.elements), field=call.field.through(taps))


def average_pooling_rule(call):
    pool = _each(call.layer.pool_size, len(spatial_axes(call)))
    flops = formulas.average_pooling_flops(call.elements, math.prod(pool))
    return Cost(flops=flops, field=call.field.through(window_taps(call, pool)))


def global_max_rule(call):
    return Cost(flops=formulas.max_pooling_flops(call.elements), field=_pooled_whole(call))


def global_average_rule(call):
    window = math.prod(call.input_shape[axis] for axis in spatial_axes(call))
    flops = formulas.average_pooling_flops(call.elements, window)
    return Cost(flops=flops, field=_pooled_whole(call))


def zero_padding_rule(call):
    return Cost(field=call.field.through(_shifts(call, call.layer.padding, -1)))


def cropping_rule(call):
    return Cost(field=call.field.through(_shifts(call, call.layer.cropping, 1)))


def resizing_rule(call):
    """UpSampling1D to 3D, and the function `resize`: a sum of four with its weights, or a copy."""
    kind = getattr(call.layer, "interpolation", "nearest")
    plain = not (
        getattr(call.layer, "antialias", False)
        or getattr(call.layer, "crop_to_aspect_ratio", False)
        or getattr(call.layer, "pad_to_aspect_ratio", False)
    )
    flops = {"nearest": 0, "bilinear": 7 * call.elements}.get(kind)
    if flops is None or not plain:
        return Cost(uncounted=(f"{kind} resizing",), field=None)
    read = nearest if kind == "nearest" else linear
    taps = {
        axis: read(call.input_shape[axis], call.output_shape[axis]) for axis in spatial_axes(call)
    }
    return Cost(flops=flops, field=call.field.through(taps))


def patches_rule(call):
    size = call.layer.size
    kernel = _each(size, len(spatial_axes(call)))
    return Cost(field=call.field.through(window_taps(call, kernel[: len(spatial_axes(call))])))


def adaptive_average_rule(call):
    """Windows from `floor(i W / W_out)` to `ceil((i + 1) W / W_out)`."""
    windows = [_adaptive(call.input_shape[a], call.output_shape[a]) for a in spatial_axes(call)]
    channels = call.elements // math.prod(map(len, windows))
    read = math.prod(sum(last - first for first, last in axis) for axis in windows)
    return Cost(flops=channels * read - call.elements, field=_adaptive_field(call))


def adaptive_max_rule(call):
    return Cost(flops=formulas.max_pooling_flops(call.elements), field=_adaptive_field(call))


def with_activation(call, macs, field):
    """The cost of a layer that ends in its activation function."""
    activation = getattr(call.layer, "activation", None)
    if activation is None:
        return Cost(macs=macs, flops=2 * macs, field=field)
    then = call.trace.activation_cost(activation, call.trace.place(call.outputs[0], field))
    return Cost(
        macs=macs + then.macs,
        flops=2 * macs + then.flops,
        field=then.field,
        uncounted=then.uncounted,
    )


def window_taps(call, kernel):
    """{axis: `Taps`} of a convolution or a pooling with this kernel."""
    axes, taps = spatial_axes(call), {}
    strides = getattr(call.layer, "strides", None)
    strides = _each(kernel if strides is None else strides, len(axes))
    dilations = _each(getattr(call.layer, "dilation_rate", 1), len(axes))
    for place, axis in enumerate(axes):
        size, stride, dilation = kernel[place], strides[place], dilations[place]
        pad = _given_padding(call, place)
        if call.layer.padding == "same":
            inputs = call.input_shape[axis]
            pad, _ = formulas.same_padding(inputs, size, stride=stride, dilation=dilation)
        elif call.layer.padding == "causal":
            pad = formulas.effective_kernel(size, dilation=dilation) - 1
        taps[axis] = convolution(size, stride=stride, dilation=dilation, pad=pad)
    return taps


def spatial_axes(call):
    """The axes of the input that are neither batch nor channels."""
    rank = len(call.input_shape)
    return range(2, rank) if _channels(call) == 1 else range(1, rank - 1)


def _given_padding(call, place):
    """Zeros before the first input, where a layer of kerakit's has them as numbers."""
    padding = getattr(call.layer, "padding", 0)
    return padding[place] if isinstance(padding, tuple) else 0


def _channels(call):
    return 1 if getattr(call.layer, "data_format", None) == "channels_first" else -1


def _kernel(call, position):
    kernel = call.layer.kernel if isinstance(call.layer, Layer) else call.inputs[position]
    return tuple(kernel.shape)


def _each(value, count):
    return (value,) * count if isinstance(value, int) else tuple(value)


def _shifts(call, ends, sign):
    pairs = [ends] if isinstance(ends[0], int) else ends
    return {
        axis: moved(sign * before)
        for axis, (before, _) in zip(spatial_axes(call), pairs, strict=True)
    }


def _adaptive(inputs, outputs):
    return [(i * inputs // outputs, -(-(i + 1) * inputs // outputs)) for i in range(outputs)]


def _adaptive_field(call):
    taps = {}
    for axis in spatial_axes(call):
        inputs, outputs = call.input_shape[axis], call.output_shape[axis]
        factor = math.gcd(inputs, outputs)
        windows = _adaptive(inputs, outputs)[: outputs // factor]
        taps[axis] = Taps(tuple(tuple(range(*window)) for window in windows), inputs // factor)
    return call.field.through(taps)


def _pooled_whole(call):
    field = call.field.contracted(call.input_shape, spatial_axes(call))
    if len(call.output_shape) == len(call.input_shape):
        return field
    # What is left of the axes: the batch and the channels.
    return field.relocated({0: 0, _channels(call) % len(call.input_shape): 1})


# By the name of the function in `keras.ops`.
SPATIAL_RULES = {
    "Conv": convolution_rule,
    "DepthwiseConv": depthwise_rule,
    "SeparableConv": separable_rule,
    "ConvTranspose": transposed_rule,
    "MaxPool": max_pooling_rule,
    "AveragePool": average_pooling_rule,
    "AdaptiveMaxPool": adaptive_max_rule,
    "AdaptiveAveragePool": adaptive_average_rule,
    "Resize": resizing_rule,
    "ExtractPatches": patches_rule,
}
