"""The tensors without values that a model is run on."""

import inspect

import keras
from keras import tree


def arguments_for(model, input_shape=None):
    """Symbolic tensors of batch 1, a tuple of the arguments that the model's `call` takes.

    Args:
        model: A `keras.Model` or layer.
        input_shape: Shape of one example, or a structure of shapes; None for what the model
            declares, or else was built with.

    Raises:
        ValueError: If the shapes are not known, or do not fit.
    """
    declared = _declared(model)
    if declared is not None:
        return (_fitted(declared, input_shape),)
    names = _names_of_tensors(model)
    shapes = _built_with(model, names) if input_shape is None else input_shape
    each = "each of " * (len(names) > 1) + ", ".join(f"`{name}`" for name in names)
    if shapes is None:
        raise ValueError(
            f"`input_shape` must be given for {model.name!r}, a shape for {each}, got None."
        )
    if len(names) == 1:
        shapes = (shapes,)
    elif _is_shape(shapes) or isinstance(shapes, dict) or len(shapes) < len(names):
        raise ValueError(
            f"`input_shape` must be a list of a shape for {each} of {model.name!r}, got {shapes}."
        )
    return tuple(tree.map_shape_structure(_example, one) for one in shapes)


def _declared(model):
    """The inputs of a functional model as it declares them, perhaps of open sizes; or None."""
    if isinstance(model, keras.Sequential):
        # One that is not built has no such attribute.
        inputs = getattr(model, "inputs", None)
        return inputs[0] if inputs else None
    return model._inputs_struct if isinstance(model, keras.Function) else None


def _names_of_tensors(model):
    """The tensors that `call` cannot do without; its first argument at least."""
    found = inspect.signature(model.call).parameters.values()
    parameters = [p for p in found if p.name not in ("training", "mask")]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    return needed or [parameters[0].name]


def _built_with(model, names):
    """The shapes of one example with which a layer was built, or None."""
    config = model.get_build_config() or {}
    shapes = list(config.get("shapes_dict", config).values())
    # Keras tells a `build` of one argument the first shape alone.
    if not shapes or len(shapes) != len(names):
        return None
    of_examples = tree.map_shape_structure(lambda shape: tuple(shape[1:]), shapes)
    return of_examples if len(names) > 1 else of_examples[0]


def _fitted(declared, input_shape):
    expected = tree.flatten(declared)
    given = [None] * len(expected)
    if input_shape is not None:
        given = []
        tree.map_shape_structure(lambda shape: given.append(tuple(shape)), input_shape)
        if len(given) != len(expected):
            raise ValueError(
                f"`input_shape` must be one shape for each of the {len(expected)} inputs, got "
                f"{len(given)}."
            )
    tensors = [_fitted_one(x, shape) for x, shape in zip(expected, given, strict=True)]
    return tree.pack_sequence_as(declared, tensors)


def _fitted_one(declared, shape):
    """A tensor of the given shape, where the declared one leaves it open."""
    expected = tuple(declared.shape[1:])
    if shape is None:
        return _example(expected, declared.dtype)
    fits = len(shape) == len(expected) and all(
        isinstance(given, int) and given > 0 and own in (None, given)
        for given, own in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(f"`input_shape` must fit the model's {expected}, got {shape}.")
    return _example(shape, declared.dtype)


def _example(shape, dtype="float32"):
    """A tensor of batch 1."""
    if None in shape:
        raise ValueError(
            f"`input_shape` must be given, as the model leaves it open: {tuple(shape)}."
        )
    return keras.KerasTensor((1, *shape), dtype)


def _is_shape(shapes):
    return all(isinstance(size, int | None) for size in shapes)
