"""Transposed convolution with padding as PyTorch counts it."""

from keras import ops

from kerakit.ops.convolution_geometry import per_axis, reach


def transposed_size(size, kernel_size, stride, padding, output_padding, dilation_rate):
    """Output size along an axis: `(W - 1) S + F_eff - 2 P + output_padding`; None if unknown."""
    if size is None:
        return None
    return (size - 1) * stride + reach(kernel_size, dilation_rate) - 2 * padding + output_padding


def transposed_convolution(
    inputs, kernel, *, strides=1, padding=0, output_padding=0, dilation_rate=1
):
    """Gradient of a convolution with P zeros on both sides, used forward to enlarge.

    `W_out = (W - 1) S + F_eff - 2 P + output_padding` with `F_eff = (F - 1) d + 1`: each input
    is multiplied by the kernel and added at S times its place, then P positions go from both
    ends. Keras's "valid" makes `(W - 1) S + max(F, S)`, its "same" `W S`, cropped after where
    the rest is odd.

    Args:
        inputs: (B, ..., C) tensor with 1 to 3 spatial axes.
        kernel: (..., K, C) weights as Keras keeps them. PyTorch's (C, K, ...) is the same kernel
            with its axes moved, and not turned round.
        strides: S, an integer or one a spatial axis.
        padding: P, likewise.
        output_padding: Further positions at the end, likewise, less than S.
        dilation_rate: d, likewise.

    Returns:
        (B, ..., K) tensor.

    Raises:
        ValueError: If an argument is out of range or the output would be empty.

    Reference:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016,
        Relationship 14. Deviations: `output_padding` is its a.

    Example:

    >>> x = ops.reshape(ops.array([1.0, 10.0]), (1, 2, 1))
    >>> y = transposed_convolution(x, ops.ones((3, 1, 1)), strides=2)
    >>> [float(v) for v in y[0, :, 0]]
    [1.0, 1.0, 11.0, 10.0, 10.0]
    """
    inputs = ops.convert_to_tensor(inputs)
    kernel = ops.cast(kernel, inputs.dtype)
    kernel_size = kernel.shape[:-2]
    rank = len(kernel_size)
    strides = per_axis(strides, rank, "strides")
    padding = per_axis(padding, rank, "padding", least=0)
    output_padding = per_axis(output_padding, rank, "output_padding", least=0)
    dilation_rate = per_axis(dilation_rate, rank, "dilation_rate")
    check_output_padding(output_padding, strides)
    axes = list(zip(kernel_size, strides, padding, output_padding, dilation_rate, strict=True))
    sizes = [transposed_size(n, *axis) for n, axis in zip(inputs.shape[1:-1], axes, strict=True)]
    if any(n is not None and n < 1 for n in sizes):
        raise ValueError(
            f"`inputs` must be large enough for an output, got size {tuple(inputs.shape[1:-1])} "
            f"with padding {padding}, which gives {tuple(sizes)}."
        )
    kernel = _dilated(kernel, dilation_rate)
    if all(_is_same(*axis) for axis in axes):
        return _transpose(inputs, kernel, strides, "same", None)
    # What the output has beyond the windows after P are gone; else some of the P stay.
    beyond = tuple(max(o - p, 0) for _, _, p, o, _ in axes)
    outputs = _transpose(inputs, kernel, strides, "valid", beyond)
    crop = [slice(p, -(p - o) if p > o else None) for _, _, p, o, _ in axes]
    return outputs[(slice(None), *crop)] if any(padding) else outputs


def check_output_padding(output_padding, strides):
    if any(o >= s for o, s in zip(output_padding, strides, strict=True)):
        raise ValueError(
            f"`output_padding` must be less than `strides`, got {output_padding} and {strides}."
        )


def _is_same(kernel_size, stride, padding, output_padding, dilation_rate):
    """Whether Keras's "same" cuts the same positions off, without a copy."""
    extra = reach(kernel_size, dilation_rate) - stride
    return extra >= 0 and padding == extra // 2 and output_padding == 2 * padding - extra


def _dilated(kernel, dilation_rate):
    """The kernel with d - 1 zeros between its entries: TensorFlow's own dilation is float32's."""
    for axis, d in enumerate(dilation_rate):
        if d > 1:
            shape = list(kernel.shape)
            kernel = ops.expand_dims(kernel, axis + 1)
            kernel = ops.pad(
                kernel, [(0, (d - 1) * (a == axis + 1)) for a in range(len(shape) + 1)]
            )
            shape[axis] *= d
            kernel = ops.reshape(kernel, shape)
            kernel = kernel[(slice(None),) * axis + (slice(1 - d),)]
    return kernel


def _transpose(inputs, kernel, strides, padding, output_padding):
    return ops.conv_transpose(
        inputs,
        kernel,
        strides=strides,
        padding=padding,
        output_padding=output_padding,
        data_format="channels_last",
    )
