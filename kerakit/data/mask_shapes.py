"""Outlines and run lengths of COCO's annotations to masks, pixel for pixel as pycocotools."""

import numpy as np

# A polygon is walked on a grid this many times as fine as the pixels.
_FINENESS = 5


def polygon_mask(polygon, size):
    """Fills a polygon.

    The outline is walked in fifths of a pixel. Where it passes the middle of a column of pixels,
    what lies below changes sides; the mask is the parity of these changes down each column.

    Args:
        polygon: Flat list x0, y0, x1, y1, ... in pixels; at least three points.
        size: (height, width) of the mask.

    Returns:
        (height, width) bool.

    Reference:
        Lin et al., Microsoft COCO: Common Objects in Context, 2014, whose evaluation code fixes
        which pixels a polygon has. Deviations: none.

    Example:

    >>> polygon_mask([1, 1, 3, 1, 3, 2, 1, 2], (3, 4)).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = size
    corners = np.trunc(np.asarray(polygon, np.float64).reshape(-1, 2) * _FINENESS + 0.5)
    corners = corners.astype(np.int64)
    x, y = _walked(corners, np.roll(corners, -1, axis=0))
    steps = np.flatnonzero(np.diff(x))
    column = np.minimum(x[steps], x[steps + 1])
    in_middle, column = column % _FINENESS == _FINENESS // 2, column // _FINENESS
    row = (np.minimum(y[steps], y[steps + 1]) + 0.5) / _FINENESS - 0.5
    row = np.ceil(np.clip(row, 0, height)).astype(np.int64)
    chosen = in_middle & (column >= 0) & (column < width)
    changes = np.bincount(column[chosen] * height + row[chosen], minlength=height * width)
    inside = np.cumsum(changes[: height * width]) % 2 == 1
    return inside.reshape(width, height).T


def _walked(start, end):
    """Points of the edges, both ends included, one a step along the longer axis."""
    extent = np.abs(end - start)
    along = np.where(extent[:, 0] >= extent[:, 1], 0, 1)
    edges = np.arange(len(start))
    length = extent[edges, along]
    # From the lower end always, so that an edge has the same points both ways.
    turned = start[edges, along] > end[edges, along]
    low, high = np.where(turned[:, None], [end, start], [start, end])
    slope = (high - low)[edges, 1 - along] / np.maximum(length, 1)
    edge = np.repeat(edges, length + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(length + 1) - length - 1, length + 1)
    step = np.where(turned[edge], length[edge] - step, step)
    # Towards 0, as a cast to whole numbers.
    other = np.trunc(low[edge, 1 - along[edge]] + slope[edge] * step + 0.5).astype(np.int64)
    first = low[edge, along[edge]] + step
    is_across = along[edge] == 0
    return np.where(is_across, first, other), np.where(is_across, other, first)


def run_lengths(text):
    """The numbers in a compressed run length code.

    Each number takes characters of six bits from "0" on, the lowest five bits first; the sixth
    says that more follow. From the fourth on, a number is the change to the one two before.

    Args:
        text: str or bytes.

    Returns:
        (n,) int64.

    Example:

    >>> run_lengths("52203").tolist()  # as changes: 5, 2, 2, 0, 3
    [5, 2, 2, 2, 5]
    """
    text = text.encode() if isinstance(text, str) else text
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    is_last = codes & 32 == 0
    starts = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    ends = np.flatnonzero(is_last)
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or len(starts) != len(ends):
        raise ValueError("its run length code is cut short or has a character that is none")
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((codes & 31) << 5 * place, starts)
    negative = codes[ends] & 16 != 0
    numbers -= np.where(negative, np.int64(1) << 5 * (ends - starts + 1), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def run_length_mask(counts, size):
    """Mask of run lengths: first of pixels outside, then inside, and so on, down the columns.

    Args:
        counts: (n,) whole numbers; their sum is height times width.
        size: (height, width).

    Returns:
        (height, width) bool.

    Example:

    >>> run_length_mask([1, 2, 3], (2, 3)).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    counts = np.asarray(counts, np.int64)
    height, width = size
    if (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(
            f"its run lengths sum to {counts.sum()}, not to the {height * width} pixels of a "
            f"mask {height} high and {width} wide"
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def counted(mask):
    """The run lengths of a mask: the way back of `run_length_mask`.

    Args:
        mask: (height, width) bool.

    Returns:
        (n,) int64.

    Example:

    >>> counted(np.array([[False, True, False], [True, False, False]])).tolist()
    [1, 2, 3]
    """
    pixels = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    return np.diff(changes, prepend=0, append=len(pixels))


def segmentation_mask(segmentation, size):
    """The mask of an annotation's `segmentation`, of whichever kind it is.

    Args:
        segmentation: List of polygons, or dict with `counts`, run lengths, compressed or not,
            and `size`.
        size: (height, width) of the image.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: If it is damaged: what is wrong, without where.

    Example:

    >>> int(segmentation_mask([[0, 0, 4, 0, 4, 4, 0, 4]], (5, 5)).sum())
    16
    """
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if tuple(segmentation.get("size", size)) != tuple(size):
            raise ValueError(f"its mask has size {segmentation['size']}, the image {list(size)}")
        counts = run_lengths(counts) if isinstance(counts, (str, bytes)) else counts
        return run_length_mask(counts, size)
    mask = np.zeros(size, bool)
    for polygon in segmentation:
        mask |= polygon_mask(polygon, size)
    return mask


def segmentation_fault(segmentation, size):
    """What is wrong with an annotation's `segmentation`, in words; None if nothing is.

    Args:
        segmentation: As of `segmentation_mask`.
        size: (height, width) of the image.

    Returns:
        Text or None.

    Example:

    >>> segmentation_fault([[0, 0, 1, 1]], (4, 4))
    'it has a polygon of 2 points, and three or more are needed'
    """
    if not segmentation:
        return "it has no mask"
    if isinstance(segmentation, dict):
        try:
            segmentation_mask(segmentation, size)
        except (ValueError, KeyError, TypeError) as error:
            return str(error) if isinstance(error, ValueError) else "its mask has no run lengths"
        return None
    for polygon in segmentation:
        try:
            numbers = np.asarray(polygon, np.float64)
        except (ValueError, TypeError):
            return "its polygons are no lists of numbers"
        if numbers.ndim != 1 or numbers.size % 2 or not np.isfinite(numbers).all():
            return "its polygons are no lists of x, y, x, y, ..."
        if numbers.size < 6:
            return f"it has a polygon of {numbers.size // 2} points, and three or more are needed"
    return None


def cropped(mask, box, side):
    """A mask as it is seen in a box, on a grid of side x side cells, each by its middle.

    Args:
        mask: (height, width) bool.
        box: (4,) xyxy in pixels, within the mask.
        side: Cells.

    Returns:
        (side, side) bool.

    Example:

    >>> cropped(np.eye(4, dtype=bool), (1, 1, 3, 3), 2).astype(int).tolist()
    [[1, 0], [0, 1]]
    """
    middles = (np.arange(side) + 0.5) / side
    columns = np.floor(box[0] + middles * (box[2] - box[0])).astype(np.int64)
    rows = np.floor(box[1] + middles * (box[3] - box[1])).astype(np.int64)
    rows = np.clip(rows, 0, mask.shape[0] - 1)
    return mask[rows[:, None], np.clip(columns, 0, mask.shape[1] - 1)]
