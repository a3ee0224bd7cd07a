"""Convolution by way of frequencies, for large kernels."""

import numpy as np
from keras import ops

from kerakit.ops.convolution_im2col import static_geometry
from kerakit.ops.direct_convolution import checked


def fft_convolution(inputs, kernel, *, strides=1, padding=0, dilation_rate=1, groups=1):
    """2D convolution as a product of discrete Fourier transforms.

    `y = F^-1(F(x) conj(F(w)))`, with one matrix product over the channels at each frequency: the
    work no longer grows with the kernel's area. A transform here is a product with the matrix of
    sines and cosines, one an axis, over channels last: at these sizes faster than
    `keras.ops.rfft`, which would have to bring the images to the last axes and the channels back
    (50 ms against 104 for 31 x 31, 4 x 96 x 96 x 32 to 32 channels, two cores), legal on every
    device and under XLA, and as exact in float64.

    The matrices hold all positions, so that nothing is padded, flipped, cropped or thrown away:
    an input keeps its place, a kernel entry stands at its dilated place, and the way back
    computes the strided outputs alone. The transforms' length is the input's, and of the padding
    the larger side: zeros on one side serve the other too.

    Half precision is computed in float32. The kernel's transform takes 8 C K / groups bytes times
    half the transforms' area, in float32.

    Arguments, result and errors as in `kerakit.ops.convolution`.

    Reference:
        Mathieu, Henaff and LeCun, Fast Training of Convolutional Networks through FFTs, 2014,
        Section 2. Deviations: transforms as matrix products.
    """
    inputs, kernel = checked(inputs, kernel, groups)
    form = static_geometry(
        inputs, kernel.shape[:-2], strides=strides, padding=padding, dilation_rate=dilation_rate
    )
    dtype = inputs.dtype
    if "16" in str(dtype):
        inputs, kernel = ops.cast(inputs, "float32"), ops.cast(kernel, "float32")
    vertical, horizontal = _axes(form, inputs.shape[1:-1])
    spectrum = _product(
        _input_spectrum(inputs, vertical, horizontal, groups),
        _kernel_spectrum(kernel, vertical, horizontal, groups),
    )
    return ops.cast(_from_spectrum(spectrum, vertical, horizontal), dtype)


class _Axis:
    """The matrices of one axis, complex: frequencies by positions.

    Attributes:
        length: Of the transform.
        half: Frequencies that determine the others, where what is transformed is real.
    """

    def __init__(self, form, axis, input_size):
        self.positions = np.arange(input_size)
        self.entries = np.arange(form.kernel_size[axis]) * form.dilation_rate[axis]
        before, _ = form.pads[axis]
        self.windows = np.arange(form.output_size[axis]) * form.strides[axis] - before
        self.length = transform_length(form, axis, input_size)
        self.half = self.length // 2 + 1

    def waves(self, frequencies, positions):
        """`exp(2 pi i f p / N)`, (frequencies, positions)."""
        # The product modulo N keeps the angle small, and with it its rounding.
        turns = np.outer(np.arange(frequencies), positions) % self.length
        return np.exp(2j * np.pi * turns / self.length)


def transform_length(form, axis, input_size):
    """Shortest period in which no window meets an input of the next one."""
    before, _ = form.pads[axis]
    last = (form.output_size[axis] - 1) * form.strides[axis] - before + form.extent[axis] - 1
    return max(input_size + max(before, 0), last + 1)


def _axes(form, input_size):
    return [_Axis(form, axis, size) for axis, size in enumerate(input_size)]


def _apply(matrix, tensor):
    """Product with a constant matrix along the last axis but one."""
    return ops.matmul(ops.convert_to_tensor(matrix, dtype=tensor.dtype), tensor)


def _parts(matrix):
    """Complex rows as real ones: all real parts, then all imaginary ones."""
    return np.concatenate([matrix.real, matrix.imag])


def _input_spectrum(inputs, vertical, horizontal, groups):
    """(1, frequencies, G, 2 B, C / G): the real parts of all examples, then the imaginary ones."""
    _, height, _, channels = inputs.shape
    half, length = horizontal.half, vertical.length
    rows = _apply(_parts(horizontal.waves(half, horizontal.positions).conj()), inputs)
    waves = vertical.waves(length, vertical.positions).conj()
    both = _apply(_complex(waves), ops.reshape(rows, (-1, height * 2, half * channels)))
    both = ops.reshape(both, (-1, 2, length * half, groups, channels // groups))
    both = ops.transpose(both, (2, 3, 1, 0, 4))
    return ops.reshape(both, (1, length * half, groups, -1, channels // groups))


def _kernel_spectrum(kernel, vertical, horizontal, groups):
    """(2, frequencies, G, C / G, K / G): real and imaginary part of the conjugate."""
    rows, columns, channels, filters = kernel.shape
    half, length = horizontal.half, vertical.length
    if groups > 1:
        kernel = ops.reshape(kernel, (rows, columns, channels, groups, filters // groups))
        kernel = ops.transpose(kernel, (0, 1, 3, 2, 4))
    kernel = ops.reshape(kernel, (rows, columns, channels * filters))
    across = _apply(_parts(horizontal.waves(half, horizontal.entries)), kernel)
    waves = vertical.waves(length, vertical.entries)
    both = _apply(_complex(waves), ops.reshape(across, (rows * 2, half * channels * filters)))
    return ops.reshape(both, (2, length * half, groups, channels, filters // groups))


def _complex(matrix):
    """Complex matrix as a real one, of (position, part) columns and (part, frequency) rows."""
    real = np.stack([matrix.real, -matrix.imag], axis=-1)
    imaginary = np.stack([matrix.imag, matrix.real], axis=-1)
    both = np.concatenate([real, imaginary])
    return both.reshape(len(both), -1)


def _product(inputs, kernel):
    """(B, 2, frequencies, K) of the products over the channels at each frequency."""
    # A single channel a group: a product for each would be one number.
    parts = inputs * kernel if kernel.shape[-2] == 1 else ops.matmul(inputs, kernel)
    _, frequencies, groups, _, filters = parts.shape
    parts = ops.reshape(parts, (2, frequencies, groups, 2, -1, filters))
    # Unstacked, for the gradient of slices took TensorFlow twenty times as long as all the rest.
    by_kernel = ops.unstack(parts, 2, axis=0)
    (rr, ir), (ri, ii) = (ops.unstack(part, 2, axis=2) for part in by_kernel)
    whole = ops.transpose(ops.stack([rr - ii, ir + ri]), (3, 0, 1, 2, 4))
    return ops.reshape(whole, (-1, 2, frequencies, groups * filters))


def _from_spectrum(spectrum, vertical, horizontal):
    """(B, H_out, W_out, K), the windows' outputs alone."""
    filters = spectrum.shape[-1]
    half, length = horizontal.half, vertical.length
    waves = vertical.waves(length, vertical.windows).T / length
    # Rows (window, part), columns (part, frequency): the transpose of the way there's layout.
    back = _complex(waves.T.conj()).T
    rows = _apply(back, ops.reshape(spectrum, (-1, 2 * length, half * filters)))
    rows = ops.reshape(rows, (-1, len(vertical.windows), 2 * half, filters))
    # The frequencies of the other half are the conjugates: all but 0 and N / 2 count twice.
    twice = np.where(np.arange(half) * 2 % horizontal.length == 0, 1.0, 2.0)
    waves = horizontal.waves(half, horizontal.windows).T * twice / horizontal.length
    return _apply(np.concatenate([waves.real, -waves.imag], axis=1), rows)
