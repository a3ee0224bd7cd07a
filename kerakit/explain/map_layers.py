"""Which layer's maps explain a model: named by the user, or chosen by what the model is."""

import difflib
import itertools

import keras
from keras import ops, tree

from kerakit.explain.targets import answer
from kerakit.models.detection import RCNN, YOLO, FasterRCNN, FastRCNN

_ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
)
# What only arranges, thins out or enlarges the values of the layer before it.
_ARRANGING = (
    "Pool", "Padding", "Crop", "Permute", "UpSampling", "Resiz", "Dropout", "Rescaling",
    "InputLayer", "Unpool",
)  # fmt: skip
_ARRANGING_OPERATIONS = ("Reshape", "Transpose", "Pad", "GetItem", "Cast", "Identity", "Repeat")


def chosen_maps(explained, layer):
    """The calls whose maps a heat map is made of, with the maps.

    Args:
        explained: `Explained`.
        layer: Name of a layer, a layer, a list of them, or None to choose.

    Returns:
        List of pairs: `Called`, and the list of tensors that it returned, each (B, h, w, C),
        (B, t, h, w, C) or, where a network sees the frames of clips apart, (B t, h, w, C).

    Raises:
        ValueError: If there is no such layer, or it has no maps, or none can be chosen.
    """
    if layer is None:
        calls = _default(explained)
    else:
        asked = layer if isinstance(layer, (list, tuple)) else [layer]
        calls = [_named(explained, one) for one in asked]
    return [(called, tree.flatten(called.output)) for called in calls]


def over_time(tensor, pixels):
    """Maps (B t, h, w, C) of single frames as (B, t, h, w, C); others as they are."""
    if len(pixels.shape) == 5 and len(tensor.shape) == 4:
        return ops.reshape(tensor, (ops.shape(pixels)[0], -1, *ops.shape(tensor)[1:]))
    return tensor


def _named(explained, layer):
    is_it = (
        (lambda called: layer in (called.operation.name, called.name))
        if isinstance(layer, str)
        else (lambda called: called.operation is layer)
    )
    found = [called for called in explained.calls if is_it(called)]
    if not found:
        name = layer if isinstance(layer, str) else getattr(layer, "name", layer)
        told = _told(explained, str(name))
        raise ValueError(
            f"`layer` must be a layer of {explained.model.name}, {told}; got {name!r}."
        )
    called = found[-1]
    if not _is_map(called, explained.pixels):
        shapes = [tuple(x.shape) for x in tree.flatten(called.output)]
        wanted = "(B, h, w, C)" if len(explained.pixels.shape) == 4 else "(B, t, h, w, C)"
        raise ValueError(
            f"`layer` must have an output {wanted}, got {called.name!r} with "
            f"{', '.join(map(str, shapes))}; {_told(explained, called.name)}."
        )
    return called


def _told(explained, name):
    """The names of layers with maps, those most like a name first."""
    names = [called.name for called in _maps(explained)]
    names = list(dict.fromkeys(names or [called.name for called in explained.calls]))
    alike = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    first = [*alike, *(one for one in reversed(names) if one not in alike)][:8]
    left = len(names) - len(first)
    return "such as " + ", ".join(first) + (f" ({left} more)" if left else "")


def _default(explained):
    model = explained.model
    if isinstance(model, RCNN):
        raise ValueError(
            f"`layer` cannot be chosen for {model.name}, which looks at crops of the image one by "
            "one; `explain.saliency` explains its detections."
        )
    if isinstance(model, YOLO):
        return [_last(explained, layer) for layer in _levels(model)]
    if isinstance(model, FasterRCNN):
        return [_last(explained, model.pyramid)]
    if isinstance(model, FastRCNN):
        return [_last(explained, model.backbone)]
    found = _maps(explained)
    if not found:
        raise ValueError(_without_maps(explained))
    scores = answer(explained.outputs)
    if scores is not None and len(scores.shape) == 4:
        return [_deepest(found, scores.shape[-1], model.name)]
    if explained.chosen.of_all:
        return found[-1:]
    # The last maps on each of the ways to the answer, of which most networks have one.
    maps = {called.key for called in found}
    ways = explained.sources(stop=lambda called: called.key in maps)
    if any(isinstance(called.operation, _ATTENTION) for called in ways):
        raise ValueError(_without_maps(explained))
    return [called for called in ways if called.key in maps]


def _maps(explained):
    """Calls behind the first convolution that have maps of more than one place."""
    calls = explained.sources()
    behind = itertools.dropwhile(lambda called: not is_convolution(called.operation), calls)
    return [
        called
        for called in behind
        if _is_map(called, explained.pixels, size=2)
        and not isinstance(called.operation, keras.Model)
        and not _only_arranges(called.operation)
        and not any(isinstance(one, _ATTENTION) for one in called.within)
    ]


def is_convolution(operation):
    """Whether an operation is a convolution over space."""
    return "Conv" in type(operation).__name__ and not isinstance(operation, keras.Model)


def _is_map(called, pixels, *, size=1):
    """Whether a call returned maps of whole images, of at least `size` places each."""
    tensors = tree.flatten(called.output)
    return bool(tensors) and all(_is_one(x, pixels, size) for x in tensors)


def _is_one(x, pixels, size):
    shape = getattr(x, "shape", ())
    if len(shape) not in (4, len(pixels.shape)) or not keras.ops.is_tensor(x):
        return False
    batch, whole = shape[0], pixels.shape[0]
    if None not in (batch, whole):
        is_frames = len(shape) < len(pixels.shape)
        if batch % whole if is_frames else batch != whole:
            return False
    height, width = shape[-3], shape[-2]
    return None in (height, width) or height * width >= size


def _only_arranges(operation):
    kind = type(operation).__name__
    return any(part in kind for part in _ARRANGING) or kind in _ARRANGING_OPERATIONS


def _deepest(calls, count, name):
    """The last of the smallest maps that are not yet scores of the classes."""
    shapes = [(called, tree.flatten(called.output)[0].shape) for called in calls]
    if any(None in shape[1:3] for _, shape in shapes):
        raise ValueError(
            f"`layer` must be named for {name} while its height and width are unknown, got None."
        )
    shapes = [(called, shape) for called, shape in shapes if shape[-1] != count] or shapes
    least = min(shape[1] * shape[2] for _, shape in shapes)
    return [called for called, shape in shapes if shape[1] * shape[2] == least][-1]


def _levels(model):
    """The first layers of a `YOLO`'s heads, from which a level's classes and edges come.

    Those before them are computed from each other, so that their maps would count twice.
    """
    names = [layer.name for layer in model.network.layers]
    first = [name for name in names if name.startswith("head") and name.endswith("_reduce_silu")]
    return [model.network.get_layer(name) for name in first]


def _last(explained, layer):
    return [called for called in explained.calls if called.operation is layer][-1]


def _without_maps(explained):
    name = explained.model.name
    operations = [called.operation for called in explained.calls]
    operations = [one for one in operations if not isinstance(one, keras.Model)]
    if any(isinstance(one, _ATTENTION) for one in operations):
        return (
            f"`model` must end in maps of convolutions, and those of {name} end in attention; for "
            "it there are `explain.attention_rollout` and `explain.saliency`, or name a `layer`."
        )
    kinds = ", ".join(dict.fromkeys(type(one).__name__ for one in operations))
    return (
        f"`model` must have a convolution with a map larger than 1 x 1, and {name} has none: its "
        f"layers are {kinds}; `explain.saliency` works for any model."
    )
