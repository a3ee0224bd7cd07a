"""2D convolution, by the method that suits its shape."""

from kerakit.ops.convolution_fft import fft_convolution, transform_length
from kerakit.ops.convolution_geometry import geometry
from kerakit.ops.convolution_im2col import explicit_im2col_convolution, im2col_convolution
from kerakit.ops.direct_convolution import checked, direct_convolution

METHODS = {
    "direct": direct_convolution,
    "im2col": im2col_convolution,
    "explicit_im2col": explicit_im2col_convolution,
    "fft": fft_convolution,
}
# Examples to count on where the batch is not static.
TYPICAL_BATCH = 8
# What it costs to write and read a number of a transform, in operations of a matrix product:
# two cores that do 80 GFLOP/s move 8 GB/s.
OPERATIONS_A_NUMBER = 80


def convolution(inputs, kernel, *, strides=1, padding=0, dilation_rate=1, groups=1, method="auto"):
    """2D convolution by one of several methods that give the same result.

    `y[o] = sum over j of w[j] x[o s + j d - p]` over both spatial axes and the channels of the
    group; strides and dilation go together. `keras.ops.conv` has one method, no padding by
    number and, on TensorFlow, no strides with dilation; with 31 x 31 kernels over 4 x 96 x 96 x 32
    it took 11 times as long as "fft" (two cores).

    Methods:

    - "direct": Keras's convolution, see `direct_convolution`.
    - "im2col": matrix products over shifted views of the input, never more than a kernel row of
      patches in memory; its gradients are written out in the same form.
    - "explicit_im2col": the patch matrix of `im2col` and one product; kh kw times the input's
      memory.
    - "fft": products of Fourier transforms, whose work does not grow with the kernel.
    - "auto": "fft" where it costs less by the count below, else "direct". From the static shapes
      alone, so that a model computes alike in training and when served; an unknown batch counts
      as 8 examples, unknown image sizes choose "direct". "im2col" does the operations of
      "direct" in 1.7 to 3.7 times its time and is never chosen.

    The count, in operations, for N x N transforms, F = N / 2 + 1 of whose columns are computed:

    - direct: `2 B Ho Wo kh kw C K / groups`;
    - fft: `4 B F H (W + 2 N) C` in, `4 B F Ho (Wo + 2 N) K` out,
      `4 F kh (kw + 2 N) C K / groups` for the kernel, `8 N F B C K / groups` for the products,
      and 80 for each of the `2 N F (B C + B K + C K / groups)` numbers of the transforms, which
      memory has to hold meanwhile.

    Args:
        inputs: (B, H, W, C) tensor.
        kernel: (kh, kw, C / groups, K) weights, as Keras keeps them; a cross-correlation, as
            everywhere in deep learning.
        strides: Positive integer, or (vertical, horizontal).
        padding: Zeros on both sides, an integer or (vertical, horizontal), as PyTorch counts; or
            "valid" or "same", as Keras does (the odd zero goes after).
        dilation_rate: Positive integer, or (vertical, horizontal).
        groups: Groups of channels; output channel `k` reads group `k // (K / groups)`.
        method: One of the above.

    Returns:
        (B, H_out, W_out, K) tensor of the inputs' and the kernel's common dtype.

    Raises:
        ValueError: If the shapes do not fit, an argument is out of range, or image sizes are
            unknown where the method needs them.

    Example:

    >>> import keras
    >>> x, w = keras.random.normal((1, 9, 9, 2), seed=1), keras.random.normal((3, 3, 2, 4), seed=2)
    >>> y = {m: convolution(x, w, padding=1, strides=2, method=m) for m in ("direct", "fft")}
    >>> tuple(y["fft"].shape[1:]), bool(keras.ops.max(abs(y["fft"] - y["direct"])) < 1e-5)
    ((5, 5, 4), True)
    """
    if method != "auto" and method not in METHODS:
        names = ", ".join(f'"{name}"' for name in (*METHODS, "auto"))
        raise ValueError(f"`method` must be one of {names}, got {method!r}.")
    inputs, kernel = checked(inputs, kernel, groups)
    if len(kernel.shape) != 4:
        raise ValueError(
            f"`kernel` must be (kh, kw, C / groups, K), got shape {tuple(kernel.shape)}."
        )
    options = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
    if method == "auto":
        method = cheapest_method(inputs.shape, kernel.shape, **options)
    return METHODS[method](inputs, kernel, groups=groups, **options)


def cheapest_method(input_shape, kernel_shape, **options):
    """Name of the method that costs less, "direct" or "fft", by the count in `convolution`."""
    if None in input_shape[1:]:
        return "direct"
    batch = input_shape[0] or TYPICAL_BATCH
    form = geometry(input_shape[1:-1], kernel_shape[:-2], **options)
    direct = direct_operations(batch, form, kernel_shape)
    return "fft" if fft_operations(batch, form, input_shape, kernel_shape) < direct else "direct"


def direct_operations(batch, form, kernel_shape):
    """Operations of the direct method."""
    rows, columns, channels, filters = kernel_shape
    return (
        2 * batch * form.output_size[0] * form.output_size[1] * rows * columns * channels * filters
    )


def fft_operations(batch, form, input_shape, kernel_shape):
    """Operations of the method by Fourier transforms, memory counted in."""
    height, width, channels = input_shape[1:]
    rows, columns, _, filters = kernel_shape
    pairs = kernel_shape[-2] * filters
    length, other = (transform_length(form, axis, (height, width)[axis]) for axis in (0, 1))
    half = other // 2 + 1
    there = 4 * batch * half * height * (width + 2 * length) * channels
    back = 4 * batch * half * form.output_size[0] * (form.output_size[1] + 2 * length) * filters
    of_kernel = 4 * half * rows * (columns + 2 * length) * pairs
    products = 8 * length * half * batch * pairs
    numbers = 2 * length * half * (batch * (channels + filters) + pairs)
    return there + back + of_kernel + products + OPERATIONS_A_NUMBER * numbers
