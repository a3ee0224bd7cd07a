"""What is wrong with the objects of a set, said before training."""

import warnings

import numpy as np

from kerakit.data.complaint import complain, some
from kerakit.errors import InputError

# Annotation tools round; what is outside by less than this is cut off in silence.
_TOLERANCE = 1.0


class Findings:
    """Bad annotations of a file, collected by kind, so that one sentence tells of each kind.

    Args:
        skip_bad: Whether to go on without them.
    """

    def __init__(self, skip_bad):
        self.skip_bad = skip_bad
        self._found = {}

    def add(self, kind, sentence):
        """Notes one; `sentence`, without its full stop, names the file and the annotation."""
        self._found.setdefault(kind, []).append(sentence)

    def report(self):
        """Raises an InputError with the first of the first kind, or warns of each kind."""
        for sentences in self._found.values():
            more = f" ({len(sentences) - 1} more are like this)" if sentences[1:] else ""
            complain(f"{sentences[0]}{more}", self.skip_bad, what="annotations")


def box_fault(box, size):
    """What is wrong with where a box lies, in words; None if nothing is.

    Args:
        box: Four numbers x1, y1, x2, y2 in pixels.
        size: (height, width) of its image.

    Returns:
        Text or None.

    Example:

    >>> box_fault((0, 0, 30, 9), (10, 20))
    'its box, x 0 to 30 and y 0 to 9, is not inside the image, 20 wide and 10 high'
    """
    left, top, right, bottom = box
    if not np.isfinite(np.asarray(box, np.float64)).all():
        return "its box has a number that is not finite"
    if right < left or bottom < top:
        return f"its box has a negative side: x {left:g} to {right:g}, y {top:g} to {bottom:g}"
    height, width = size
    slack = _TOLERANCE
    if min(left, top) < -slack or right > width + slack or bottom > height + slack:
        return (
            f"its box, x {left:g} to {right:g} and y {top:g} to {bottom:g}, is not inside the "
            f"image, {width} wide and {height} high"
        )
    return None


def clipped_boxes(boxes, sizes):
    """Boxes (T, 4) cut off at their images' borders, and which have an area left (T,)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    clipped = np.clip(boxes, 0, np.tile(sizes[:, ::-1], 2)).astype(np.float32)
    return clipped, (clipped[:, 2:] > clipped[:, :2]).all(axis=1)


def warn_of_empty_boxes(count, *, where, first):
    """Warns once of boxes without an area, which are left out; says nothing if there are none."""
    if count:
        verb = "box without an area is" if count == 1 else "boxes without an area are"
        warnings.warn(f"{where}: {count} {verb} left out, the first {first}.", stacklevel=4)


def used_classes(classes, objects, *, where, skip_bad):
    """Which classes are learnt: those that an object of the training part has.

    Args:
        classes: Names of the classes.
        objects: Dict from "train" and "val" to `Objects`.
        where: Name of the set, for the messages.
        skip_bad: Leave out classes that have none with a warning, rather than stop.

    Returns:
        Numbers of the classes that stay, in order.

    Raises:
        InputError: If a class is empty, unless `skip_bad`, or a part has no objects.
    """
    for part, there in objects.items():
        if not len(there.labels):
            raise InputError(f"{where}: no image for {part} has a box.")
    counts = np.bincount(objects["train"].labels, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        plural = "es" if len(empty) > 1 else ""
        complain(
            f"{where}: no training image has a box of the class{plural} {some(empty)}",
            skip_bad,
            what="classes",
        )
    return np.flatnonzero(counts)
