"""Which positions of the input an output position reads, along one axis, exactly.

`r_l = r_(l-1) + (F_l - 1) * product of the strides before` gives the size where every layer is a
convolution or a pooling. Branches whose paddings shift them against each other, transposed
convolutions and upsampling need the places too: here output position `i` reads from `first(i)`
to `last(i)`, and the pattern repeats itself after `period` outputs, `shift` inputs further on.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

# Every position of the input: behind a global pooling, a dense layer over space, an attention.
ALL = "all"
# Not followed through some operation.
UNKNOWN = None


@dataclass(frozen=True)
class Window:
    """The input positions that each output position reads; unclipped by the input's ends.

    Args:
        intervals: For outputs 0 .. period - 1 the (first, last) input position, or None
            for an output that reads nothing, as between the taps of a transposed
            convolution whose stride exceeds its kernel.
        shift: By how many inputs the pattern moves on in one period.

    Example:

    >>> Window().through(convolution(3, stride=2)).through(convolution(3)).size
    7
    """

    intervals: tuple[tuple[int, int] | None, ...] = ((0, 0),)
    shift: int = 1

    @property
    def size(self):
        """Inputs that one output reads, from the first to the last; the largest over outputs."""
        return max((last - first + 1 for first, last in filter(None, self.intervals)), default=0)

    @property
    def stride(self):
        """Inputs from one output to the next: an int, or a fraction after upsampling."""
        stride = Fraction(self.shift, len(self.intervals))
        return stride.numerator if stride.denominator == 1 else stride

    def through(self, taps):
        """The window behind one more layer, whose outputs read this one's as `taps` say."""
        repeats = len(self.intervals) // math.gcd(taps.shift, len(self.intervals))
        intervals = []
        for turn in range(repeats):
            for positions in taps.positions:
                read = [self.at(position + turn * taps.shift) for position in positions]
                intervals.append(_hull(read))
        turns = repeats * taps.shift // len(self.intervals)
        return _shortest(tuple(intervals), turns * self.shift)

    def union(self, other):
        """The window of outputs that read both, or `UNKNOWN` where the strides differ."""
        if self.stride != other.stride:
            return UNKNOWN
        period = math.lcm(len(self.intervals), len(other.intervals))
        intervals = tuple(_hull([self.at(i), other.at(i)]) for i in range(period))
        return _shortest(intervals, period // len(self.intervals) * self.shift)

    def at(self, output):
        """(first, last) input position that an output position reads, or None."""
        turns, place = divmod(output, len(self.intervals))
        interval = self.intervals[place]
        return interval and (interval[0] + turns * self.shift, interval[1] + turns * self.shift)


@dataclass(frozen=True)
class Scattered:
    """A window whose outputs were rearranged, as pixels into tokens: the size alone is kept.

    Args:
        size: Inputs that one output reads along the axis.
        origin: What rearranged it; two of the same origin lie alike.
    """

    size: int
    origin: object
    stride = UNKNOWN


@dataclass(frozen=True)
class Taps:
    """Which of a layer's inputs each of its outputs reads, along one axis.

    Args:
        positions: For outputs 0 .. period - 1 the input positions.
        shift: By how many inputs the pattern moves on in one period.
    """

    positions: tuple[tuple[int, ...], ...]
    shift: int = 1


def convolution(kernel, *, stride=1, dilation=1, pad=0):
    """Taps of a convolution or a pooling with `pad` zeros before the first input."""
    return Taps((tuple(tap * dilation - pad for tap in range(kernel)),), stride)


def transposed_convolution(kernel, *, stride=1, dilation=1, pad=0):
    """Taps of a transposed convolution of which `pad` outputs are cut off at the start."""
    positions = tuple(
        tuple(
            (output + pad - tap * dilation) // stride
            for tap in range(kernel)
            if (output + pad - tap * dilation) % stride == 0
        )
        for output in range(stride)
    )
    return Taps(positions)


def moved(by):
    """Taps of a crop of `by` positions before the first kept one; negative: a padding."""
    return Taps(((by,),))


def nearest(inputs, outputs):
    """Taps of a resizing by the nearest input: output i reads `floor((i + 1/2) in / out)`."""
    return _resized(inputs, outputs, lambda centre: (math.floor(centre),))


def linear(inputs, outputs):
    """Taps of a linear resizing: the two inputs around `(i + 1/2) in / out - 1/2`."""

    def around(centre):
        place = centre - Fraction(1, 2)
        return tuple(sorted({math.floor(place), math.ceil(place)}))

    return _resized(inputs, outputs, around)


def _resized(inputs, outputs, read):
    scale = Fraction(inputs, outputs)
    period = scale.denominator
    return Taps(
        tuple(read((output + Fraction(1, 2)) * scale) for output in range(period)), scale.numerator
    )


def _hull(intervals):
    some = [interval for interval in intervals if interval]
    return (min(i[0] for i in some), max(i[1] for i in some)) if some else None


def _shortest(intervals, shift):
    """The window with its pattern cut to the shortest that repeats itself."""
    period = len(intervals)
    for length in range(1, period):
        if period % length or shift * length % period:
            continue
        step = shift * length // period
        window = Window(intervals[:length], step)
        if all(window.at(i) == intervals[i] for i in range(period)):
            return window
    return Window(intervals, shift)
