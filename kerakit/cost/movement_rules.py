"""Rules of `keras.ops` that compute nothing: they rearrange, copy or cut."""

from kerakit.cost.field import union
from kerakit.cost.reach import ALL, Taps, convolution, moved
from kerakit.cost.rule import Cost

# The input itself.
_VIEWS = ("ConvertToTensor", "StopGradient", "Cast", "SaturateCast", "View", "Array")
# Copies whose places in the input are not followed.
_COPIES = (
    "Stack Append Hstack Vstack Dstack Tile Flip Fliplr Flipud Roll Rot90 Take TakeAlongAxis Slice "
    "SliceUpdate Scatter ScatterUpdate BroadcastTo Copy Full OneHot Tril Triu Diag Diagonal Unfold "
    "Rearrange CropImages PadImages Meshgrid Arange ArraySplit"
)


def _view(call):
    return Cost(shares_memory=True, field=call.field)


def _copy(call):
    axes = [axis for field in call.fields for axis in field.axes.values()]
    return Cost(field=call.everything if all(axis.reach == ALL for axis in axes) else None)


def _constant(call):
    # Of the input's shape alone.
    return Cost(field=call.field.nothing())


def reshaped(call):
    """A reshape: the same memory, read otherwise."""
    field = call.field.reshaped(call.input_shape, call.output_shape, call)
    return Cost(shares_memory=True, field=field)


def concatenated(call):
    """A concatenation along `axis`."""
    axis = call.layer.axis % len(call.output_shape)
    fields = [field.joined(axis, call) for field in call.fields]
    # The parts lie behind one another along the axis and agree in the others.
    shapes = [call.output_shape] * len(fields)
    return Cost(field=union(fields, shapes, call.output_shape))


def _transpose(call):
    rank = len(call.input_shape)
    order = call.layer.axes or tuple(reversed(range(rank)))
    return Cost(field=call.field.relocated({old % rank: new for new, old in enumerate(order)}))


def _swap(call):
    rank = len(call.input_shape)
    one, other = call.layer.axis1 % rank, call.layer.axis2 % rank
    places = {place: place for place in range(rank)} | {one: other, other: one}
    return Cost(field=call.field.relocated(places))


def _move_axis(call):
    rank = len(call.input_shape)
    sources, goals = (
        [axis % rank for axis in (axes if isinstance(axes, list | tuple) else (axes,))]
        for axes in (call.layer.source, call.layer.destination)
    )
    places = dict(zip(sources, goals, strict=True))
    free = iter(place for place in range(rank) if place not in goals)
    places |= {place: next(free) for place in range(rank) if place not in sources}
    return Cost(field=call.field.relocated(places))


def _pad(call):
    width = call.layer.pad_width
    if call.layer.mode != "constant" or not isinstance(width, list | tuple):
        return Cost()
    pairs = [pair if isinstance(pair, list | tuple) else (pair, pair) for pair in width]
    if len(pairs) != len(call.input_shape):
        return Cost()
    taps = {axis: moved(-before) for axis, (before, _) in enumerate(pairs) if before}
    return Cost(field=call.field.through(taps))


def _repeat(call):
    if not isinstance(call.layer.repeats, int) or call.layer.axis is None:
        return Cost()
    axis = call.layer.axis % len(call.input_shape)
    return Cost(field=call.field.through({axis: Taps(((0,),) * call.layer.repeats)}))


def _split(call):
    axis = call.layer.axis % len(call.input_shape)
    return Cost(field=None if call.field.moves_along(axis) else call.field)


def _unstack(call):
    rank = len(call.input_shape)
    axis = call.layer.axis % rank
    left = [place for place in range(rank) if place != axis]
    return Cost(field=call.field.relocated({place: new for new, place in enumerate(left)}))


def _get_item(call):
    """Slices, whole numbers, `None` and `...`; another index is not followed."""
    shape, key = call.input_shape, call.arguments[1]
    key = key if isinstance(key, tuple) else (key,)
    if any(part is Ellipsis for part in key):
        at = next(i for i, part in enumerate(key) if part is Ellipsis)
        named = sum(part is not None and part is not Ellipsis for part in key)
        key = (*key[:at], *[slice(None)] * (len(shape) - named), *key[at + 1 :])
    places, taps, old, new = {}, {}, 0, 0
    for part in key:
        if part is None:
            new += 1
        elif isinstance(part, slice):
            start, _, step = part.indices(shape[old])
            if step < 1:
                return Cost()
            if (start, step) != (0, 1):
                taps[old] = Taps(((start,),), step)
            places[old], old, new = new, old + 1, new + 1
        elif isinstance(part, int):
            old += 1
        else:
            return Cost()
    places |= {place: place - old + new for place in range(old, len(shape))}
    return Cost(field=call.field.through(taps).relocated(places))


def _depth_to_space(call):
    taps = Taps(((0,),) * call.layer.block_size)
    return Cost(field=call.field.through(dict.fromkeys(_image_axes(call), taps)))


def _space_to_depth(call):
    taps = convolution(call.layer.block_size, stride=call.layer.block_size)
    return Cost(field=call.field.through(dict.fromkeys(_image_axes(call), taps)))


def _image_axes(call):
    return (2, 3) if call.layer.data_format == "channels_first" else (1, 2)


MOVEMENT_RULES = {
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_COPIES.split(), _copy),
    **dict.fromkeys(("ZerosLike", "OnesLike", "FullLike", "EmptyLike"), _constant),
    "Reshape": reshaped,
    "ExpandDims": reshaped,
    "Squeeze": reshaped,
    "Ravel": reshaped,
    "Concatenate": concatenated,
    "Transpose": _transpose,
    "Swapaxes": _swap,
    "Moveaxis": _move_axis,
    "Pad": _pad,
    "Repeat": _repeat,
    "Split": _split,
    "Unstack": _unstack,
    "GetItem": _get_item,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
