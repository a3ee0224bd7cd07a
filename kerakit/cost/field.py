"""What the positions of a tensor read of the model's inputs, axis by axis."""

import math
from dataclasses import dataclass, replace

from kerakit.cost.reach import ALL, UNKNOWN, Scattered, Window


@dataclass(frozen=True)
class Axis:
    """How a tensor reads one axis of one input.

    Args:
        at: The tensor's axes along which the read positions move; none for a tensor that
            reads the same positions everywhere.
        reach: A `Window`, a `Scattered`, `ALL` or `UNKNOWN`.
    """

    at: frozenset
    reach: object


NOWHERE = frozenset()
EVERYTHING = Axis(NOWHERE, ALL)
LOST = Axis(NOWHERE, UNKNOWN)


class Field:
    """The receptive field of a tensor: an `Axis` for each spatial axis of each input.

    Fields are values: every method returns a new one.

    Args:
        axes: Dict from (input, axis of it) to `Axis`.
    """

    def __init__(self, axes=()):
        self.axes = dict(axes)

    def _each(self, function):
        return Field({key: function(axis) for key, axis in self.axes.items()})

    def everything(self):
        """Each position reads the whole of every input."""
        return self._each(lambda axis: EVERYTHING)

    def lost(self):
        """Nothing is known but which inputs are read; what read all of one still does."""
        return self._each(lambda axis: axis if axis.reach == ALL else LOST)

    def nothing(self):
        """A constant reads no input."""
        return Field()

    def moves_along(self, place):
        """Whether positions along the tensor's axis `place` read different inputs."""
        return any(place in axis.at for axis in self.axes.values())

    def at_one(self, place):
        """At one position along the tensor's axis `place`."""
        return self._each(lambda axis: _of_position_0(axis) if axis.at == {place} else axis)

    def with_moving(self, place, other):
        """This, with what moves along the tensor's axis `place` in another field."""
        moving = {key: axis for key, axis in other.axes.items() if place in axis.at}
        return Field({**self.axes, **moving})

    def through(self, taps):
        """Behind a layer that reads the tensor's axes by `taps`, a dict from axis to `Taps`."""

        def behind(axis):
            touched = axis.at & set(taps)
            if not touched:
                return axis
            if isinstance(axis.reach, Window):
                (place,) = axis.at
                return replace(axis, reach=axis.reach.through(taps[place]))
            return LOST

        return self._each(behind)

    def contracted(self, shape, axes):
        """Every output reads all positions of `axes`, as in a sum or a matrix product over them.

        Args:
            shape: The tensor's shape.
            axes: Its contracted axes. The others keep their places.
        """
        axes = {axis % len(shape) for axis in axes}

        def summed(axis):
            if not axis.at & axes:
                return axis
            if math.prod(shape[place] for place in axis.at) == 1:
                return _of_position_0(axis)
            return EVERYTHING if axis.at <= axes else LOST

        return self._each(summed)

    def relocated(self, places):
        """The tensor's axes elsewhere; `places` maps the old axis to the new one."""

        def moved(axis):
            if not all(place in places for place in axis.at):
                return LOST
            return replace(axis, at=frozenset(places[place] for place in axis.at))

        return self._each(moved)

    def reshaped(self, old, new, origin):
        """Behind a reshape from shape `old` to `new`; `origin` identifies it."""
        groups = _groups(old, new)

        def rearranged(axis):
            if not axis.at:
                return axis
            if math.prod(old[place] for place in axis.at) == 1:
                return _of_position_0(axis)
            at = NOWHERE.union(*(groups[place] for place in axis.at))
            if len(axis.at) == 1 and len(at) == 1:
                (place,), (goal,) = axis.at, at
                if old[place] == new[goal]:
                    return replace(axis, at=at)
            return _scattered(axis, at, origin)

        return self._each(rearranged)

    def joined(self, axis, origin):
        """As a part of a concatenation along a tensor's axis; `origin` identifies it."""

        def scattered(one):
            return _scattered(one, one.at, origin) if axis in one.at else one

        return self._each(scattered)

    def reaches(self):
        """{input: tuple of reaches, in the order of its axes}."""
        found = {}
        for (source, _), axis in sorted(self.axes.items()):
            found.setdefault(source, []).append(axis.reach)
        return {source: tuple(reaches) for source, reaches in found.items()}


def of_input(source, shape, *, channels_first=False):
    """The field of a model's input: each position reads itself.

    Images (B, H, W, C), clips (B, T, H, W, C) and sequences (B, T, C) have one axis for each
    that is neither batch nor channels; vectors have none.
    """
    rank = len(shape)
    places = range(2, rank) if channels_first else range(1, rank - 1)
    return Field({(source, place): Axis(frozenset([place]), Window()) for place in places})


def union(fields, shapes, output_shape):
    """The field of an operation whose output at a position reads its operands there.

    Args:
        fields: Fields of the operands.
        shapes: Their shapes; they broadcast as in NumPy.
        output_shape: Shape of the result.
    """
    total = {}
    for field, shape in zip(fields, shapes, strict=True):
        for key, axis in _broadcast(field, shape, output_shape).axes.items():
            total[key] = _both(total[key], axis) if key in total else axis
    return Field(total)


def _broadcast(field, shape, output_shape):
    lead = len(output_shape) - len(shape)

    def spread(axis):
        if not axis.at:
            return axis
        if all(shape[place] == 1 < output_shape[place + lead] for place in axis.at):
            return _of_position_0(axis)
        return replace(axis, at=frozenset(place + lead for place in axis.at))

    return field._each(spread)


def merged(fields):
    """What is left of fields whose tensors went through something that is not followed."""
    total = {}
    for field in fields:
        for key, axis in field.lost().axes.items():
            total[key] = _both(total[key], axis) if key in total else axis
    return Field(total)


def _both(one, other):
    if ALL in (one.reach, other.reach):
        return EVERYTHING
    if UNKNOWN in (one.reach, other.reach) or one.at != other.at:
        return LOST
    if isinstance(one.reach, Window) and isinstance(other.reach, Window):
        reach = one.reach.union(other.reach)
        return Axis(one.at, reach) if reach else LOST
    scattered = isinstance(one.reach, Scattered) and isinstance(other.reach, Scattered)
    if scattered and one.reach.origin == other.reach.origin:
        return one if one.reach.size >= other.reach.size else other
    return LOST


def _of_position_0(axis):
    """A tensor of one position along the axis: it reads one interval, wherever it is used."""
    if isinstance(axis.reach, Window):
        return Axis(NOWHERE, Window(axis.reach.intervals[:1], shift=0))
    return replace(axis, at=NOWHERE)


def _scattered(axis, at, origin):
    if isinstance(axis.reach, Window | Scattered):
        return Axis(at, Scattered(axis.reach.size, origin))
    return axis


def _groups(old, new):
    """For each old axis, the new axes that its positions are spread over in a reshape."""
    groups, o, n = {}, 0, 0
    while o < len(old):
        first_old, first_new = o, n
        size_old, size_new = old[o], new[n] if n < len(new) else 1
        o, n = o + 1, n + 1
        while size_old != size_new:
            if size_old < size_new:
                size_old, o = size_old * old[o], o + 1
            else:
                size_new, n = size_new * new[n], n + 1
        for place in range(first_old, o):
            goals = range(first_new, min(n, len(new)))
            groups[place] = frozenset(g for g in goals if new[g] > 1) or frozenset(goals)
    return groups
