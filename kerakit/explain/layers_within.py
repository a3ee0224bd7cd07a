"""The layers of a model, those inside others too, and one of them by its name."""

import difflib

_TOLD = 8


def layers_within(model):
    """The layers of a model and those inside them, in the order in which they are set up."""
    for layer in model._layers:
        yield layer
        yield from layers_within(layer)


def chosen_layer(model, layer, *, among=None, kind="a layer"):
    """The layer that a name means.

    Args:
        model: Keras model.
        layer: Name of a layer, or the layer.
        among: Layers that it may be; None for all within the model.
        kind: What these are, for the error.

    Returns:
        The first layer of that name.

    Raises:
        ValueError: If there is none; those that are there are told, the closest names first.
    """
    among = list(layers_within(model)) if among is None else among
    for one in among:
        if one is layer or one.name == layer:
            return one
    given = getattr(layer, "name", layer)
    told = listed((one.name for one in among), like=given)
    raise ValueError(f"`layer` must be {kind} of {model.name} ({told}), got {given!r}.")


def listed(names, *, like):
    """The first of some names, those most like a given one before the others."""
    names = list(dict.fromkeys(names))
    names = list(dict.fromkeys([*difflib.get_close_matches(str(like), names, 3), *names]))
    told = ", ".join(names[:_TOLD]) or "none"
    return told + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
