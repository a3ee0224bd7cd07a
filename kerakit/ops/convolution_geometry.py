"""Where the windows of a convolution lie: strides, padding and dilation, axis by axis."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """Windows of a convolution over the spatial axes, one entry an axis.

    Attributes:
        kernel_size: Entries of the kernel.
        strides: Steps from a window to the next.
        pads: (before, after) zeros around the input, or None where "same" depends on a size
            that is not static.
        dilation_rate: Steps from an entry of a window to the next.
        output_size: Number of windows, None where it is not static.
    """

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int] | None, ...]
    dilation_rate: tuple[int, ...]
    output_size: tuple[int | None, ...]

    @property
    def extent(self):
        """Reach of a window, first to last entry."""
        return tuple(map(reach, self.kernel_size, self.dilation_rate))

    def read_pads(self, input_size):
        """(before, after) that leave what the windows read; negative where that is less."""
        return [
            (before, (o - 1) * s + e - n - before)
            for n, (before, _), o, s, e in zip(
                input_size, self.pads, self.output_size, self.strides, self.extent, strict=True
            )
        ]


def reach(kernel_size, dilation_rate):
    """Input positions from the first to the last entry of a window: `(k - 1) d + 1`."""
    return (kernel_size - 1) * dilation_rate + 1


def per_axis(value, rank, name, *, least=1):
    """An integer argument, or a tuple of one an axis, as a tuple."""
    values = (value,) * rank if isinstance(value, int) else value
    if (
        not isinstance(values, list | tuple)
        or len(values) != rank
        or not all(isinstance(v, int) and not isinstance(v, bool) and v >= least for v in values)
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {least} or {rank} of them, got {value!r}."
        )
    return tuple(values)


def same_pads(size, kernel_size, stride, dilation_rate):
    """(before, after) zeros of Keras's "same", which puts the odd one after; None if unknown."""
    extent = reach(kernel_size, dilation_rate)
    if stride == 1:
        total = extent - 1
    elif size is None:
        return None
    else:
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def geometry(input_size, kernel_size, *, strides=1, padding=0, dilation_rate=1):
    """Reads the arguments of a convolution into a `Geometry`.

    `output = floor((input + before + after - ((k - 1) d + 1)) / stride) + 1`

    Args:
        input_size: Spatial sizes of the input; None where not static.
        kernel_size: Spatial sizes of the kernel.
        strides: Integer, or one an axis.
        padding: Zeros on both sides, an integer or one an axis; or Keras's "valid" or "same".
        dilation_rate: Integer, or one an axis.

    Returns:
        The `Geometry`.

    Raises:
        ValueError: If an argument is out of range, or no window fits into the input.

    Example:

    >>> geometry((224, 224), (7, 7), strides=2, padding=3).output_size
    (112, 112)
    """
    rank = len(kernel_size)
    strides = per_axis(strides, rank, "strides")
    dilation_rate = per_axis(dilation_rate, rank, "dilation_rate")
    if padding == "valid":
        padding = 0
    if padding == "same":
        pads = tuple(map(same_pads, input_size, kernel_size, strides, dilation_rate))
    elif isinstance(padding, str):
        raise ValueError(
            '`padding` must be "valid", "same", an integer of at least 0 or '
            f"{rank} of them, got {padding!r}."
        )
    else:
        pads = tuple((p, p) for p in per_axis(padding, rank, "padding", least=0))
    output_size = []
    for n, k, s, d, pad in zip(input_size, kernel_size, strides, dilation_rate, pads, strict=True):
        room = None if n is None or pad is None else n + sum(pad) - reach(k, d)
        if room is not None and room < 0:
            raise ValueError(
                f"`inputs` must be at least as large as the window, got size {tuple(input_size)} "
                f"with padding {padding!r}, kernel {tuple(kernel_size)} and dilation "
                f"{dilation_rate}."
            )
        output_size.append(None if room is None else room // s + 1)
    return Geometry(tuple(kernel_size), strides, pads, dilation_rate, tuple(output_size))
