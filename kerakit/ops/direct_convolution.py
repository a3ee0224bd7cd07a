"""Convolution by Keras's own kernel, where it refuses what is asked for too."""

import math
import operator

import keras
from keras import ops

from kerakit.ops.convolution_geometry import geometry, same_pads


def direct_convolution(inputs, kernel, *, strides=1, padding=0, dilation_rate=1, groups=1):
    """Convolution of any rank by `keras.ops.conv`, with padding as PyTorch counts it.

    `y[o] = sum over j of w[j] x[o s + j d - p]`, along each spatial axis and summed over the
    input channels of the group. `keras.ops.conv` has no explicit padding ("same" puts 2 zeros
    after and 1 before a 4 x 4 kernel, and at stride 2 none before a 3 x 3 one); on TensorFlow it
    refuses strides together with dilation, and runs groups through a compiled detour whose
    gradient took 315 ms where one convolution a group takes 3.7 (8 groups, 3 x 3,
    8 x 28 x 28 x 64 to 64 channels, two cores).

    Where "same" would put the same zeros, it is used, and the input is not copied. Strides with
    dilation: of both, the common divisor g goes by taking every g-th position of the input. If
    dilation is left beside strides, outputs d apart read the same positions modulo d: those d
    interleaved convolutions without dilation are stacked into one batch, which wastes nothing.

    Args:
        inputs: (B, ..., C) tensor with 1 to 3 spatial axes.
        kernel: (..., C / groups, K) weights, as Keras keeps them.
        strides: Positive integer, or one a spatial axis.
        padding: Zeros on both sides, an integer or one an axis; or "valid", or Keras's "same".
        dilation_rate: Positive integer, or one a spatial axis.
        groups: Groups of channels; output channel `k` reads group `k // (K / groups)`.

    Returns:
        (B, ..., K) tensor of the inputs' and the kernel's common dtype.

    Raises:
        ValueError: If the shapes do not fit, an argument is out of range, or a size is unknown
            where strides meet dilation.

    Example:

    >>> x = ops.reshape(ops.arange(7.0), (1, 7, 1))
    >>> y = direct_convolution(x, ops.ones((2, 1, 1)), strides=2, dilation_rate=3)
    >>> [float(v) for v in y[0, :, 0]]  # 0 + 3, 2 + 5
    [3.0, 7.0]
    """
    inputs, kernel = checked(inputs, kernel, groups)
    form = geometry(
        inputs.shape[1:-1],
        kernel.shape[:-2],
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
    )
    if max(form.strides) > 1 and max(form.dilation_rate) > 1:
        return _strided_and_dilated(inputs, kernel, form, groups)
    is_same = _is_same(inputs, form)
    return _grouped(
        inputs if is_same else pad(inputs, form.pads),
        kernel,
        form.strides,
        "same" if is_same else "valid",
        form.dilation_rate,
        groups,
    )


def checked(inputs, kernel, groups):
    """Both as tensors of their common dtype; raises unless the shapes fit each other."""
    inputs, kernel = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    dtype = keras.backend.result_type(inputs.dtype, kernel.dtype)
    inputs, kernel = ops.cast(inputs, dtype), ops.cast(kernel, dtype)
    rank, channels = len(kernel.shape) - 2, inputs.shape[-1]
    if rank not in (1, 2, 3) or len(inputs.shape) != rank + 2:
        raise ValueError(
            "`inputs` must be (B, ..., C) and `kernel` (..., C / groups, K) with the same 1 to 3 "
            f"spatial axes, got shapes {tuple(inputs.shape)} and {tuple(kernel.shape)}."
        )
    if not isinstance(groups, int) or groups < 1 or kernel.shape[-1] % groups:
        raise ValueError(
            "`groups` must be a positive integer that divides the output channels, got "
            f"{groups!r} and {kernel.shape[-1]}."
        )
    if channels != kernel.shape[-2] * groups:
        raise ValueError(
            f"`kernel` must have C / groups = {channels} / {groups} input channels, got shape "
            f"{tuple(kernel.shape)}."
        )
    return inputs, kernel


def pad(inputs, pads):
    """Puts zeros around the spatial axes; takes positions away where a number is negative."""
    crop = [slice(max(-before, 0), after if after < 0 else None) for before, after in pads]
    if any(part != slice(0, None) for part in crop):
        inputs = inputs[(slice(None), *crop)]
    pads = [(max(before, 0), max(after, 0)) for before, after in pads]
    return ops.pad(inputs, [(0, 0), *pads, (0, 0)]) if any(map(any, pads)) else inputs


def by_group(convolve, inputs, kernel, groups):
    """Applies a function of inputs and kernel to each group of channels."""
    if groups == 1:
        return convolve(inputs, kernel)
    parts = map(convolve, ops.split(inputs, groups, axis=-1), ops.split(kernel, groups, axis=-1))
    return ops.concatenate(list(parts), axis=-1)


def _is_same(inputs, form):
    """Whether Keras's "same" can do the padding."""
    if None in form.pads:
        return True
    # TensorFlow's 3D kernel in float64 puts windows in the wrong places under "same" where the
    # stride skips positions: of 0..8, every third from 0 on comes out as 1, 4, 7.
    skips = any(s > e for s, e in zip(form.strides, form.extent, strict=True))
    sizes = inputs.shape[1:-1]
    keras_pads = map(same_pads, sizes, form.kernel_size, form.strides, form.dilation_rate)
    return any(map(any, form.pads)) and not skips and tuple(keras_pads) == form.pads


def _strided_and_dilated(inputs, kernel, form, groups):
    """Splits each dilated axis into interleaved parts, stacked along the batch."""
    if None in form.output_size:
        raise ValueError(
            "`inputs` must have static spatial sizes where strides and dilation are both above "
            f"1, got shape {tuple(inputs.shape)}."
        )
    common = tuple(map(math.gcd, form.strides, form.dilation_rate))
    read = pad(inputs, form.read_pads(inputs.shape[1:-1]))
    inputs = read[(slice(None), *(slice(None, None, g) for g in common))]
    strides = tuple(map(operator.floordiv, form.strides, common))
    dilations = tuple(map(operator.floordiv, form.dilation_rate, common))
    if max(strides) == 1 or max(dilations) == 1:
        return _grouped(inputs, kernel, strides, "valid", dilations, groups)
    axes = [axis for axis, d in enumerate(dilations, start=1) if d > 1]
    for axis in axes:
        inputs = _parts(inputs, axis, form, strides[axis - 1], dilations[axis - 1])
    outputs = _grouped(inputs, kernel, strides, "valid", 1, groups)
    for axis in reversed(axes):
        outputs = _interleaved(outputs, axis, form.output_size[axis - 1], dilations[axis - 1])
    return outputs


def _parts(inputs, axis, form, stride, dilation):
    """(d B, ...): part r holds the positions of outputs r, r + d, ..., which start at r s."""
    outputs = -(-form.output_size[axis - 1] // dilation)
    length = (outputs - 1) * stride + form.kernel_size[axis - 1]
    needed = (dilation - 1) * stride + (length - 1) * dilation + 1
    missing = max(needed - inputs.shape[axis], 0)
    inputs = ops.pad(inputs, [(0, missing * (a == axis)) for a in range(len(inputs.shape))])
    parts = []
    for r in range(dilation):
        start = r * stride
        chosen = slice(start, start + (length - 1) * dilation + 1, dilation)
        parts.append(inputs[(slice(None),) * axis + (chosen,)])
    return ops.concatenate(parts, axis=0)


def _interleaved(outputs, axis, size, dilation):
    """The inverse on the outputs: position q of part r goes to q d + r."""
    parts = ops.split(outputs, dilation, axis=0)
    together = ops.stack(parts, axis=axis + 1)
    shape = list(parts[0].shape)
    shape[0], shape[axis] = -1, shape[axis] * dilation
    whole = ops.reshape(together, shape)
    return whole[(slice(None),) * axis + (slice(size),)]


def _grouped(inputs, kernel, strides, padding, dilation_rate, groups):
    def convolve(x, w):
        return ops.conv(
            x,
            w,
            strides=strides,
            padding=padding,
            data_format="channels_last",
            dilation_rate=dilation_rate,
        )

    # JAX and torch have groups of their own; Keras on TensorFlow has the detour of the docstring.
    if groups == 1 or keras.backend.backend() != "tensorflow":
        return convolve(inputs, kernel)
    if kernel.shape[-2] == 1 and len(kernel.shape) <= 4 and len(set(strides)) == 1:
        return ops.depthwise_conv(
            inputs,
            ops.reshape(kernel, (*kernel.shape[:-2], groups, kernel.shape[-1] // groups)),
            strides=strides,
            padding=padding,
            data_format="channels_last",
            dilation_rate=dilation_rate,
        )
    return by_group(convolve, inputs, kernel, groups)
