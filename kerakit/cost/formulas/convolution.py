"""Convolutions: parameters and multiply-accumulates, in one, two or three dimensions."""

import math


def convolution_parameters(kernel, input_channels, filters, *, groups=1, bias=True):
    """Parameters of a convolution: `(F_h F_w D_in / groups + 1) K`.

    Args:
        kernel: Taps along each axis: (F,), (F_h, F_w) or (F_t, F_h, F_w).
        input_channels: D_in.
        filters: K.
        groups: Into how many the channels are split.
        bias: Whether there is one a filter.

    Example:

    >>> convolution_parameters((3, 3), 64, 128), convolution_parameters((3, 3, 3), 3, 64)
    (73856, 5248)
    """
    return (math.prod(kernel) * (input_channels // groups) + bool(bias)) * filters


def convolution_macs(kernel, input_channels, output_elements, *, groups=1):
    """MACs of a convolution: `F_h F_w D_in / groups` for each of `H_out W_out K` outputs.

    Taps that lie over the padding are counted as well.

    Args:
        kernel: Taps along each axis.
        input_channels: D_in.
        output_elements: H_out W_out K (T_out H_out W_out K in three dimensions).
        groups: Into how many the channels are split; D_in for a depthwise convolution.

    Example:

    >>> convolution_macs((7, 7), 3, 112 * 112 * 64)  # the first of ResNet
    118013952
    """
    return math.prod(kernel) * (input_channels // groups) * output_elements


def transposed_convolution_macs(kernel, filters, input_elements):
    """MACs of a transposed convolution: each input goes to `F_h F_w K` places.

    Args:
        kernel: Taps along each axis.
        filters: K.
        input_elements: H_in W_in D_in.

    Example:

    >>> transposed_convolution_macs((2, 2), 512, 28 * 28 * 1024)
    1644167168
    """
    return math.prod(kernel) * filters * input_elements


def depthwise_separable_parameters(kernel, input_channels, filters, *, bias=False):
    """Parameters of a depthwise and a pointwise convolution: `F^2 D_in + D_in D_out`.

    A convolution that does both at once has `F^2 D_in D_out`.

    Args:
        kernel: Taps along each axis.
        input_channels: D_in.
        filters: D_out.
        bias: Whether each filter of the second has one.

    Example:

    >>> depthwise_separable_parameters((3, 3), 64, 128), 3 * 3 * 64 * 128
    (8768, 73728)
    """
    depthwise = math.prod(kernel) * input_channels
    return depthwise + convolution_parameters((1,), input_channels, filters, bias=bias)


def depthwise_separable_macs(kernel, input_channels, filters, positions):
    """MACs of both: `(F^2 D_in + D_in D_out) H_out W_out`.

    Args:
        kernel: Taps along each axis.
        input_channels: D_in.
        filters: D_out.
        positions: H_out W_out.

    Example:

    >>> depthwise_separable_macs((3, 3), 64, 128, 56 * 56)
    27496448
    """
    return positions * depthwise_separable_parameters(kernel, input_channels, filters)
