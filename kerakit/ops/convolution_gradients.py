"""The gradients of a convolution, written out: each is a convolution itself."""

from keras import ops

from kerakit.ops.convolution_geometry import geometry
from kerakit.ops.direct_convolution import by_group, direct_convolution, pad


def convolution_input_gradient(
    output_gradient, kernel, *, input_shape, strides=1, padding=0, dilation_rate=1, groups=1
):
    """Gradient by the input: the full convolution of dL/dy with the kernel turned by 180 degrees.

    An input meets the entry j of the kernel in the window that starts j before it, so that
    `dL/dx[i] = sum over j of dL/dz[i - j] w[j]`. Zeros around dL/dz make the convolution full;
    under strides s, s - 1 zeros stand between its elements, for the windows that were left out.
    Automatic gradients give the same; this is the formula, to read and to test against.

    Args:
        output_gradient: (B, ..., K) gradient by the convolution's output, 1 to 3 spatial axes.
        kernel: (..., C / groups, K) weights.
        input_shape: Shape of the input, (B, ..., C); its spatial sizes count.
        strides: As in `kerakit.ops.direct_convolution`.
        padding: As there.
        dilation_rate: As there.
        groups: As there.

    Returns:
        (B, ..., C) gradient.

    Raises:
        ValueError: If the shapes do not fit, or an argument is out of range.

    Example:

    >>> slope = ops.reshape(ops.array([1.0, 10.0]), (1, 2, 1))
    >>> kernel = ops.reshape(ops.array([1.0, 2.0, 3.0]), (3, 1, 1))
    >>> found = convolution_input_gradient(slope, kernel, input_shape=(1, 4, 1))
    >>> [float(x) for x in found[0, :, 0]]
    [1.0, 12.0, 23.0, 30.0]
    """
    output_gradient, kernel = ops.convert_to_tensor(output_gradient), ops.convert_to_tensor(kernel)
    sizes = tuple(input_shape)[1:-1]
    form = geometry(
        sizes, kernel.shape[:-2], strides=strides, padding=padding, dilation_rate=dilation_rate
    )
    check_output_size(output_gradient, form)
    apart = _zeros_between(output_gradient, form.strides)
    pads = []
    for n, length, extent, (before, _) in zip(
        sizes, apart.shape[1:-1], form.extent, form.pads, strict=True
    ):
        first = extent - 1 - before
        pads.append((first, n - length + extent - 1 - first))
    return direct_convolution(
        pad(apart, pads),
        _turned(kernel, groups),
        padding="valid",
        dilation_rate=form.dilation_rate,
        groups=groups,
    )


def convolution_kernel_gradient(
    inputs, output_gradient, *, kernel_size, strides=1, padding=0, dilation_rate=1, groups=1
):
    """Gradient by the kernel: the convolution of the input with dL/dy.

    `dL/dw[j] = sum over i of dL/dz[i] x[i s + j d - p]`, over all windows i of all examples:
    dL/dz takes the kernel's place, strides become its dilation and dilation the strides; the
    examples are summed over as channels are, and the channels kept apart as examples are.

    Args:
        inputs: (B, ..., C) tensor, 1 to 3 spatial axes.
        output_gradient: (B, ..., K) gradient by the convolution's output.
        kernel_size: Spatial sizes of the kernel, one an axis.
        strides: As in `kerakit.ops.direct_convolution`.
        padding: As there.
        dilation_rate: As there.
        groups: As there.

    Returns:
        (..., C / groups, K) gradient.

    Raises:
        ValueError: If the shapes do not fit, or an argument is out of range.

    Example:

    >>> x = ops.reshape(ops.array([1.0, 2.0, 3.0, 4.0]), (1, 4, 1))
    >>> slope = ops.reshape(ops.array([1.0, 10.0]), (1, 2, 1))
    >>> found = convolution_kernel_gradient(x, slope, kernel_size=(3,))
    >>> [float(v) for v in found[:, 0, 0]]
    [21.0, 32.0, 43.0]
    """
    inputs, output_gradient = ops.convert_to_tensor(inputs), ops.convert_to_tensor(output_gradient)
    form = geometry(
        inputs.shape[1:-1],
        tuple(kernel_size),
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
    )
    check_output_size(output_gradient, form)
    rank = len(form.kernel_size)
    spatial = tuple(range(1, rank + 1))

    def of_group(x, slope):
        found = direct_convolution(
            ops.transpose(x, (rank + 1, *spatial, 0)),
            ops.transpose(slope, (*spatial, 0, rank + 1)),
            strides=form.dilation_rate,
            padding="valid",
            dilation_rate=form.strides,
        )
        return ops.transpose(found, (*spatial, 0, rank + 1))

    read = pad(inputs, form.read_pads(inputs.shape[1:-1]))
    return by_group(of_group, read, output_gradient, groups)


def convolution_bias_gradient(output_gradient):
    """Gradient by the bias: the sum of dL/dy over examples and positions.

    `dL/db = sum over i of dL/dz[i]`, for the bias is added at every position.

    Args:
        output_gradient: (B, ..., K) gradient by the convolution's output.

    Returns:
        (K,) gradient.

    Example:

    >>> slope = ops.array([[[1.0, 0.5], [2.0, 0.5]]])
    >>> [float(x) for x in convolution_bias_gradient(slope)]
    [3.0, 1.0]
    """
    output_gradient = ops.convert_to_tensor(output_gradient)
    return ops.sum(output_gradient, axis=tuple(range(len(output_gradient.shape) - 1)))


def check_output_size(output_gradient, form):
    """Raises unless there is one gradient a window."""
    sizes = tuple(output_gradient.shape[1:-1])
    if sizes != form.output_size:
        raise ValueError(
            f"`output_gradient` must have the output's spatial sizes {form.output_size}, got "
            f"{sizes}."
        )


def _zeros_between(tensor, strides):
    """Elements so many positions apart, with zeros between them."""
    for axis, stride in enumerate(strides, start=1):
        if stride > 1:
            size = tensor.shape[axis]
            shape = [-1, *tensor.shape[1:]]
            shape[axis] = size * stride
            tensor = ops.expand_dims(tensor, axis + 1)
            widths = [(0, (stride - 1) * (a == axis + 1)) for a in range(len(tensor.shape))]
            tensor = ops.reshape(ops.pad(tensor, widths), shape)
            tensor = tensor[(slice(None),) * axis + (slice((size - 1) * stride + 1),)]
    return tensor


def _turned(kernel, groups):
    """Kernel of the way back: turned by 180 degrees, outputs for inputs within each group."""
    *sizes, channels, filters = kernel.shape
    rank = len(sizes)
    kernel = ops.flip(kernel, axis=tuple(range(rank)))
    kernel = ops.reshape(kernel, (*sizes, channels, groups, filters // groups))
    kernel = ops.transpose(kernel, (*range(rank), rank + 2, rank + 1, rank))
    return ops.reshape(kernel, (*sizes, filters // groups, groups * channels))
