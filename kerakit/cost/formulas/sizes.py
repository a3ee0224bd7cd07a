"""Sizes along one axis: outputs of convolutions and poolings, kernels, receptive fields."""

import math


def effective_kernel(kernel, *, dilation=1):
    """Inputs that a dilated kernel spans: `F_eff = F + (F - 1)(d - 1)`.

    Args:
        kernel: F, taps along the axis.
        dilation: d, inputs from one tap to the next.

    Example:

    >>> effective_kernel(3, dilation=2)
    5
    """
    return kernel + (kernel - 1) * (dilation - 1)


def convolution_size(size, kernel, *, stride=1, padding=0, dilation=1):
    """Outputs of a convolution along an axis: `floor((W - F_eff + 2P) / S) + 1`.

    Args:
        size: W, inputs along the axis.
        kernel: F.
        stride: S.
        padding: P, zeros at each end.
        dilation: d.

    Raises:
        ValueError: If the kernel does not fit the padded input.

    Example:

    >>> convolution_size(224, 7, stride=2, padding=3)
    112
    """
    span = effective_kernel(kernel, dilation=dilation)
    if span > size + 2 * padding:
        raise ValueError(
            f"`kernel` must span at most the padded input, got {span} for {size + 2 * padding}."
        )
    return (size - span + 2 * padding) // stride + 1


def pooling_size(size, kernel, *, stride=None):
    """Outputs of a pooling along an axis: a convolution's with P = 0.

    Args:
        size: W, inputs along the axis.
        kernel: F, the pool's size.
        stride: S; F unless given.

    Example:

    >>> pooling_size(112, 3, stride=2)
    55
    """
    return convolution_size(size, kernel, stride=stride or kernel)


def transposed_convolution_size(size, kernel, *, stride=1, padding=0):
    """Outputs of a transposed convolution along an axis: `(W - 1) S + F - 2P`.

    Args:
        size: W, inputs along the axis.
        kernel: F.
        stride: S.
        padding: P, outputs cut off at each end.

    Example:

    >>> transposed_convolution_size(28, 4, stride=2, padding=1)
    56
    """
    return (size - 1) * stride + kernel - 2 * padding


def same_padding(size, kernel, *, stride=1, dilation=1):
    """Zeros before and after the input where padding is "same": outputs are `ceil(W / S)`.

    An odd number of zeros has the larger half at the end, so that at stride 2 Keras pads other
    places than a symmetric padding.

    Args:
        size: W, inputs along the axis.
        kernel: F.
        stride: S.
        dilation: d.

    Returns:
        (before, after).

    Example:

    >>> same_padding(224, 3, stride=2)
    (0, 1)
    """
    span = effective_kernel(kernel, dilation=dilation)
    total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def receptive_field(layers):
    """Inputs that one output of a stack reads: `r_l = r_(l-1) + (F_l - 1) prod_(i<l) s_i`.

    Args:
        layers: (kernel, stride) or (kernel, stride, dilation) of each convolution or pooling,
            from the input on.

    Returns:
        r of the last layer; `r_0 = 1`.

    Example:

    >>> receptive_field([(7, 2), (3, 2), (3, 1), (3, 1)])  # ResNet's stem and first block
    27
    """
    field, stride = 1, 1
    for kernel, step, *dilation in layers:
        field += (effective_kernel(kernel, dilation=dilation[0] if dilation else 1) - 1) * stride
        stride *= step
    return field


def receptive_field_of_equal_layers(layers, kernel):
    """The same for `layers` layers of one kernel and stride 1: `1 + L (F - 1)`.

    Args:
        layers: L.
        kernel: F.

    Example:

    >>> receptive_field_of_equal_layers(3, 3)  # three 3 x 3 see as much as one 7 x 7
    7
    """
    return 1 + layers * (kernel - 1)


def max_pooling_flops(output_elements):
    """FLOPs of a max pooling: `H_out W_out C`, one an output.

    The k^2 - 1 comparisons of a window count as one operation, while an average's additions are
    counted each (`average_pooling_flops`): two conventions, both as they are taught.

    Args:
        output_elements: H_out W_out C.

    Example:

    >>> max_pooling_flops(56 * 56 * 64)
    200704
    """
    return output_elements


def average_pooling_flops(output_elements, window):
    """FLOPs of an average pooling: `H_out W_out C (k^2 - 1)`, additions; the division is not in.

    Args:
        output_elements: H_out W_out C.
        window: k^2, inputs in a window; H W for a global pooling.

    Example:

    >>> average_pooling_flops(512, 7 * 7)  # global, ResNet-18
    24576
    """
    return output_elements * (window - 1)
