"""Convolution as matrix products: over the patch matrix, or over shifted views without it."""

import math

from keras import ops

from kerakit.ops.convolution_geometry import geometry, reach
from kerakit.ops.direct_convolution import by_group, checked, pad

# Channels that a product should be deep at least to run at full speed.
DEEP = 192


def im2col(inputs, kernel_size, *, strides=1, padding=0, dilation_rate=1):
    """The patch matrix: for each window of a convolution its inputs in one row.

    A convolution is then a single product with the kernel as a (kh kw C, K) matrix:
    `y = im2col(x) W`. Each pixel stands in up to kh kw rows, so that of a 3 x 3 convolution the
    matrix takes nine times the memory of its input. `keras.ops.image.extract_patches` gives the
    same matrix by a convolution with a one-hot kernel, and has no explicit padding; the whole
    convolution took 1.8 times as long with it (3 x 3, 8 x 56 x 56 x 64 to 64, two cores).

    Args:
        inputs: (B, H, W, C) tensor.
        kernel_size: (kh, kw), the window in pixels.
        strides: Positive integer, or (vertical, horizontal).
        padding: Zeros on both sides, an integer or (vertical, horizontal); or "valid", or Keras's
            "same".
        dilation_rate: Positive integer, or (vertical, horizontal).

    Returns:
        (B, H_out, W_out, kh kw C) tensor; its last axis runs over (row, column, channel).

    Raises:
        ValueError: If an argument is out of range, no window fits, or the images' size is unknown.

    Example:

    >>> x = ops.reshape(ops.arange(9.0), (1, 3, 3, 1))
    >>> patches = im2col(x, (2, 2))
    >>> [float(v) for v in patches[0, 0, 0]]
    [0.0, 1.0, 3.0, 4.0]
    """
    inputs = ops.convert_to_tensor(inputs)
    form = static_geometry(
        inputs,
        tuple(kernel_size),
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
    )
    inputs = pad(inputs, form.pads)
    rows, columns = map(
        _slices, form.kernel_size, form.strides, form.dilation_rate, form.output_size
    )
    return ops.concatenate([inputs[:, row, column] for row in rows for column in columns], axis=-1)


def explicit_im2col_convolution(inputs, kernel, *, strides=1, padding=0, dilation_rate=1, groups=1):
    """2D convolution as one product of the patch matrix and the kernel, im2col to the letter.

    Arguments, result and errors as in `kerakit.ops.convolution`.
    """
    inputs, kernel = checked(inputs, kernel, groups)

    def convolve(x, w):
        patches = im2col(
            x, w.shape[:2], strides=strides, padding=padding, dilation_rate=dilation_rate
        )
        return ops.matmul(patches, ops.reshape(w, (-1, w.shape[-1])))

    return by_group(convolve, inputs, kernel, groups)


def im2col_convolution(inputs, kernel, *, strides=1, padding=0, dilation_rate=1, groups=1):
    """2D convolution as matrix products over shifted views of the input, without the patch matrix.

    Take the pixels, padding included, as the rows of one tall matrix. The column of the patch
    matrix that belongs to one entry of the kernel is then that same matrix some rows further
    down: a view, not a copy. The products of the views with the kernel's entries add up to the
    output, of which the columns that wrapped around an edge are dropped. Where the input has few
    channels, neighbouring entries of a kernel row are laid side by side, for a product is fast
    only if it is deep.

    Strides: the output is the sum, over the input's pixels sorted by their position modulo the
    stride, of convolutions of stride 1 with the kernel's entries sorted alike.

    Arguments, result and errors as in `kerakit.ops.convolution`.
    """
    inputs, kernel = checked(inputs, kernel, groups)
    form = static_geometry(
        inputs, kernel.shape[:-2], strides=strides, padding=padding, dilation_rate=dilation_rate
    )

    def convolve(x, w):
        if max(form.strides) == 1:
            return _unit_stride(x, w, form.pads, form.dilation_rate)
        return sum(
            _unit_stride(phase, entries, crops, dilation_rate)
            for phase, entries, crops, dilation_rate in _phases(x, w, form)
        )

    return by_group(convolve, inputs, kernel, groups)


def static_geometry(inputs, kernel_size, **options):
    """The `Geometry` of 2D windows; raises unless the images' size is known."""
    if len(inputs.shape) != 4 or len(kernel_size) != 2 or None in inputs.shape[1:]:
        raise ValueError(
            "`inputs` must be (B, H, W, C) with static H, W and C, for a kernel with 2 spatial "
            f"axes, got shape {tuple(inputs.shape)} for a kernel of size {tuple(kernel_size)}."
        )
    return geometry(inputs.shape[1:-1], kernel_size, **options)


def _slices(kernel_size, stride, dilation_rate, output_size):
    """Along one axis, the inputs that meet each entry of the kernel."""
    starts = [j * dilation_rate for j in range(kernel_size)]
    return [slice(start, start + (output_size - 1) * stride + 1, stride) for start in starts]


def _unit_stride(inputs, kernel, pads, dilation_rate):
    """Convolution of stride 1 over shifted views, with its gradients in the same form."""
    kernel_size, dtype = tuple(kernel.shape[:2]), inputs.dtype
    beyond = [reach(k, d) - 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]

    @ops.custom_gradient
    def convolution(inputs, kernel):
        views = _views(inputs, kernel_size, pads, dilation_rate)

        def gradient(*upstreams, upstream=None):
            upstream = ops.cast(upstreams[0] if upstream is None else upstream, dtype)
            # The full convolution with the kernel turned by 180 degrees.
            around = [(b - p, b - q) for b, (p, q) in zip(beyond, pads, strict=True)]
            turned = ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2))
            turned_views = _views(upstream, kernel_size, around, dilation_rate)
            return _output(turned_views, turned, beyond), _kernel_gradient(views, upstream, beyond)

        return _output(views, kernel, beyond), gradient

    return convolution(inputs, kernel)


def _views(inputs, kernel_size, pads, dilation_rate):
    """((height, width), chunks): the views that meet each row of each chunk of kernel columns."""
    crops = [(min(before, 0), min(after, 0)) for before, after in pads]
    zeros = [(max(before, 0), max(after, 0)) for before, after in pads]
    # An image of zeros at the end, so that the last images' views have rows to reach down to.
    images = ops.pad(pad(inputs, crops), [(0, 1), *zeros, (0, 0)])
    _, height, width, channels = images.shape
    flat = ops.reshape(images, (-1, channels))
    columns_a_chunk = min(-(-DEEP // channels), kernel_size[1])
    chunks = []
    for first in range(0, kernel_size[1], columns_a_chunk):
        columns = range(first, min(first + columns_a_chunk, kernel_size[1]))
        beside = [_down(flat, column * dilation_rate[1], width) for column in columns]
        beside = beside[0] if len(beside) == 1 else ops.concatenate(beside, axis=-1)
        steps = [row * dilation_rate[0] * width for row in range(kernel_size[0])]
        chunks.append((columns, [_down(beside, step, (height - 1) * width) for step in steps]))
    return (height, width), chunks


def _down(flat, start, fewer):
    """The matrix from a row on, with so many rows fewer than it has."""
    return flat[start : (start - fewer) or None]


def _output(views, kernel, beyond):
    """Sum of the views' products with the kernel; the wrapped rows and columns dropped."""
    (height, width), chunks = views
    total = None
    for columns, rows in chunks:
        part = kernel[:, columns.start : columns.stop]
        for row, view in enumerate(rows):
            product = ops.matmul(view, ops.reshape(part[row], (-1, kernel.shape[-1])))
            # Half precision is for the factors, not for sums over hundreds of products.
            product = ops.cast(product, _sum_dtype(product.dtype))
            total = product if total is None else total + product
    images = ops.reshape(total, (-1, height, width, kernel.shape[-1]))
    images = images[:, : height - beyond[0], : width - beyond[1]]
    return ops.cast(images, kernel.dtype)


def _sum_dtype(dtype):
    return "float32" if "16" in str(dtype) else dtype


def _kernel_gradient(views, upstream, beyond):
    """Products of the views with the output's gradient, which is 0 where an edge was crossed."""
    _, chunks = views
    filters = upstream.shape[-1]
    flat = ops.reshape(pad(upstream, [(0, b) for b in beyond]), (-1, filters))
    parts = []
    for columns, rows in chunks:
        of_rows = [ops.matmul(ops.transpose(view), flat) for view in rows]
        parts.append(ops.reshape(ops.stack(of_rows), (len(rows), len(columns), -1, filters)))
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)


def _phases(inputs, kernel, form):
    """What a strided convolution is the sum of: (pixels, kernel entries, crops, dilation).

    Along an axis the entry j reads position `o s + j d`: the `(o + shift)`-th of those that are
    `phase` modulo s, with `shift, phase = divmod(j d, s)`.
    """
    # Up to a multiple of the stride, and as far as the windows reach; what lies behind is cropped.
    sizes, pads = [], []
    for n, o, s, e, (before, _) in zip(
        inputs.shape[1:-1], form.output_size, form.strides, form.extent, form.pads, strict=True
    ):
        sizes.append(-(-((o - 1) * s + e) // s))
        pads.append((before, sizes[-1] * s - n - before))
    (height, width), (vertical, horizontal) = sizes, form.strides
    shape = (-1, height, vertical, width, horizontal, inputs.shape[-1])
    by_phase = ops.transpose(ops.reshape(pad(inputs, pads), shape), (2, 4, 0, 1, 3, 5))
    # Unstacked: the gradient of slices is slow on TensorFlow.
    by_phase = [
        ops.unstack(row, horizontal, axis=0) for row in ops.unstack(by_phase, vertical, axis=0)
    ]
    axes = [
        _entries_by_phase(k, s, d)
        for k, s, d in zip(form.kernel_size, form.strides, form.dilation_rate, strict=True)
    ]
    for row_phase, rows, row_shift, row_dilation in axes[0]:
        for column_phase, columns, column_shift, column_dilation in axes[1]:
            entries = kernel[rows, columns]
            dilation_rate = (row_dilation, column_dilation)
            crops = [
                (-shift, shift + o + reach(k, d) - 1 - size)
                for shift, o, k, d, size in zip(
                    (row_shift, column_shift),
                    form.output_size,
                    entries.shape[:2],
                    dilation_rate,
                    sizes,
                    strict=True,
                )
            ]
            yield by_phase[row_phase][column_phase], entries, crops, dilation_rate


def _entries_by_phase(kernel_size, stride, dilation_rate):
    """Along one axis: (phase, slice of the kernel, first shift, dilation among that phase)."""
    entries = {}
    for j in range(kernel_size):
        shift, phase = divmod(j * dilation_rate, stride)
        entries.setdefault(phase, []).append((j, shift))
    # In a phase the entries, and their shifts, are evenly spaced.
    step = stride // math.gcd(stride, dilation_rate)
    spread = dilation_rate // math.gcd(stride, dilation_rate)
    return [
        (phase, slice(own[0][0], kernel_size, step), own[0][1], spread)
        for phase, own in entries.items()
    ]
