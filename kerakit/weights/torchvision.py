"""Torchvision's checkpoints into kerakit's models, by one rule for all of them."""

import os
import re

import keras
import numpy as np

from kerakit.errors import InputError
from kerakit.weights.read import read_arrays

# PyTorch's name of a variable by Keras's. A variable of any other name is the only one of its
# layer, and PyTorch's parameter has the layer's name: a class token, a table of positions.
_VARIABLES = {
    "kernel": "_weight",
    "gamma": "_weight",
    "bias": "_bias",
    "beta": "_bias",
    "moving_mean": "_running_mean",
    "moving_variance": "_running_var",
}
# Keras keeps the three projections of attention apart; PyTorch stacks them.
_PROJECTIONS = ("query", "key", "value")
# Parts that have two names, in torchvision's code and in published files or here.
_RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)"), r"\1\2"),  # DenseNet
    (re.compile(r"\.mlp\.0\."), ".mlp.linear_1."),  # ViT, whose published files have these
    (re.compile(r"\.mlp\.3\."), ".mlp.linear_2."),
    # Detectors, whose published files are of before torchvision 0.13.
    (re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"rpn\.head\.conv\.(weight|bias)"), r"rpn.head.conv.0.0.\1"),
    (re.compile(r"mask_head\.mask_fcn1"), "mask_head.0.0"),
    (re.compile(r"mask_head\.mask_fcn2"), "mask_head.1.0"),
    (re.compile(r"mask_head\.mask_fcn3"), "mask_head.2.0"),
    (re.compile(r"mask_head\.mask_fcn4"), "mask_head.3.0"),
)
_SHOWN = 8


def load_torchvision(model, source, *, head=True, skip=()):
    """Loads a checkpoint of torchvision into the model of the same name.

    The layers of kerakit's models have torchvision's parameter names with "." as "_", so one
    rule finds the array of each variable, and its layer's class says how the axes lie. Every
    array must find its variable and every variable its array; on an error no weight changes.

    Args:
        model: A model of `kerakit.models` that torchvision has too.
        source: As in `read_arrays`: a `.pth`, `.safetensors` or `.npz` file, or a mapping.
        head: Whether the last layer's weights are loaded too; False for another number of
            classes, where it keeps the weights that it has.
        skip: Beginnings of names in the checkpoint that are left out, such as `("aux1.",)`.

    Raises:
        InputError: If arrays are missing, left over or of another shape (all of them are
            named), if two names in the checkpoint become one, or if the file cannot be read.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="fc")])
    >>> load_torchvision(model, {"fc.weight": np.eye(3, 2), "fc.bias": np.zeros(3)})
    >>> tuple(model.layers[-1].kernel.shape)
    (2, 3)
    """
    label = source if isinstance(source, str | os.PathLike) else "the checkpoint"
    arrays = by_keras_name(read_arrays(source), skip, label)
    heads = set() if head else {id(v) for layer in _heads(model) for v in layer.variables}
    values, faults, used = [], [], set()
    for layer, variable, name, piece in _wanted(model):
        used.add(name)
        if id(variable) in heads:
            continue
        if name not in arrays:
            faults.append(f"{name} is missing")
            continue
        torch_name, array = arrays[name]
        value = laid_out(array, layer, variable, piece)
        if value is None:
            faults.append(
                f"{torch_name} is {array.shape}, which does not fit {variable.path} "
                f"{tuple(variable.shape)}"
            )
        else:
            values.append((variable, value))
    faults += [
        f"{torch_name} is left over" for n, (torch_name, _) in arrays.items() if n not in used
    ]
    if faults:
        more = f", and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        advice = " Pass head=False to load all but the head." if head else ""
        raise InputError(
            f"{label} does not fit {model.name}: {'; '.join(faults[:_SHOWN])}{more}.{advice}"
        )
    for variable, value in values:
        variable.assign(value)


def by_keras_name(arrays, skip, label):
    """Name as in the model -> (PyTorch's name, array)."""
    found = {}
    for torch_name, array in arrays.items():
        # How many batches BatchNorm has seen: only its momentum=None needs it.
        if torch_name.endswith("num_batches_tracked") or torch_name.startswith(tuple(skip)):
            continue
        name = torch_name
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        name = name.replace(".", "_")
        if name in found:
            raise InputError(f"{label} holds {found[name][0]} and {torch_name}, both for {name}.")
        found[name] = torch_name, array
    return found


def _wanted(model):
    """(layer, variable, name in the checkpoint, which third of a stack) of every weight."""
    for layer, variable, path in _variables(model):
        last = variable.name
        parents, name = path[:-1], path[-1]
        if isinstance(layer, keras.layers.EinsumDense) and name in _PROJECTIONS:
            stack = "in_proj_weight" if last == "kernel" else "in_proj_bias"
            yield layer, variable, "_".join([*parents, stack]), _PROJECTIONS.index(name)
        else:
            name = "out_proj" if name == "attention_output" else name
            yield layer, variable, "_".join([*parents, name]) + _VARIABLES.get(last, ""), None


def name_in_checkpoint(layer, variable):
    """A variable's name in a checkpoint, of a layer that no other one holds."""
    return layer.name + _VARIABLES.get(variable.name, "")


def _variables(model):
    """(layer, variable, names from below the model down to the layer), each variable once."""
    seen, stack = set(), [(model, ())]
    while stack:
        layer, path = stack.pop()
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            # A variable of the model itself, such as a step, is in no checkpoint.
            if path and id(variable) not in seen:
                seen.add(id(variable))
                yield layer, variable, path
        stack += [(child, (*path, child.name)) for child in reversed(layer._layers)]


def laid_out(array, layer, variable, piece):
    """The array with Keras's order of axes; None where it does not fit."""
    shape = tuple(variable.shape)
    if piece is not None:
        if len(array) % 3:
            return None
        array = np.split(array, 3)[piece]
    if isinstance(layer, keras.layers.EinsumDense):
        array = array.T.reshape(shape) if array.size == np.prod(shape) else array
    elif isinstance(layer, keras.layers.Dense):
        array = array.T
    elif array.ndim >= 3 and variable.name == "kernel":
        space = tuple(range(2, array.ndim))
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            array = array.transpose(*space, 0, 1)  # (out, 1, h, w) -> (h, w, out, 1)
            if array.size == np.prod(shape):
                array = array.reshape(shape)
        else:
            # (out, in, h, w) -> (h, w, in, out), and a transposed convolution's
            # (in, out, h, w) -> (h, w, out, in).
            array = array.transpose(*space, 1, 0)
    elif _without_ones(array.shape) == _without_ones(shape):
        array = array.reshape(shape)  # tokens and positions, (1, N, d) in PyTorch
    return array if array.shape == shape else None


def _without_ones(shape):
    return [n for n in shape if n != 1]


def _heads(model):
    """The last layer with weights before each output; a detector knows its own."""
    if hasattr(model, "head_layers"):
        return model.head_layers
    found = []
    for output in keras.tree.flatten(model.outputs):
        operation = output._keras_history.operation
        while not getattr(operation, "variables", None):
            operation = keras.tree.flatten(operation.input)[0]._keras_history.operation
        found.append(operation)
    return found
