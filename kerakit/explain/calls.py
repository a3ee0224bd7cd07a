"""A model run once, while the outputs of its layers are noted, or something is added to them."""

import collections
import dataclasses

import keras
from keras import ops, tree

from kerakit.watching import watching


@dataclasses.dataclass(frozen=True)
class Called:
    """One call of a layer, or of an operation that is a node of the model.

    Attributes:
        operation: The layer or operation.
        number: Which call of it in this run, from 0.
        inputs: Tensors that it was given, in its own precision.
        output: What it returned.
        within: The layers around it, the model first.
    """

    operation: keras.Operation
    number: int
    inputs: list
    output: object
    within: tuple

    @property
    def name(self):
        """Name of the layer behind those of the models around it, such as "backbone/conv1"."""
        models = [one.name for one in self.within[1:] if isinstance(one, keras.Model)]
        return "/".join([*models, self.operation.name])

    @property
    def key(self):
        """What tells this call from the others in any run of the model."""
        return id(self.operation), self.number


def run(model, inputs, *, calls=None, added=(), bare=None):
    """Calls a model for inference; nothing of it changes.

    Args:
        model: Built Keras model.
        inputs: What it takes.
        calls: List to which each call is appended, in the order in which calls end; or None.
        added: Pairs of a `Called` and tensors to add to what that call returns, one a tensor of it.
        bare: A `Called` that is to leave out its activation, or None.

    Returns:
        What the model returns.
    """
    counts, within = collections.Counter(), []
    added = {called.key: tensors for called, tensors in added}

    def handler(call, operation, arguments, options, *, of_graph):
        if not of_graph:
            return call(operation, *arguments, **options)
        key = (id(operation), counts[id(operation)])
        counts[id(operation)] += 1
        within.append(operation)
        try:
            if bare is not None and key == bare.key:
                output = _without_activation(call, operation, arguments, options)
            else:
                output = call(operation, *arguments, **options)
        finally:
            within.pop()
        if key in added:
            tensors = iter(added[key])
            output = tree.map_structure(lambda x: x + ops.cast(next(tensors), x.dtype), output)
        if calls is not None:
            tensors = [x for x in tree.flatten((arguments, options)) if keras.ops.is_tensor(x)]
            calls.append(Called(operation, key[1], tensors, output, tuple(within)))
        return output

    # A call that has no such argument is for inference anyway.
    options = {"training": False} if model._call_has_training_arg else {}
    with keras.StatelessScope(), watching(handler):
        return model(inputs, **options)


def has_activation(called):
    """Whether a call ends in a softmax or sigmoid, which `run` can leave out."""
    return _is_itself(called.operation) or _activation(called.operation) in _SQUASHING


def is_activation(called):
    """Whether a call is a softmax, a sigmoid or a cast and nothing else."""
    casts = has_linear_end(called) and isinstance(called.operation, keras.layers.Activation)
    return casts or _is_itself(called.operation)


def has_linear_end(called):
    """Whether the layer called has an activation, and one that does nothing."""
    return _activation(called.operation) == "linear"


_SQUASHING = ("softmax", "sigmoid")


def _is_itself(operation):
    """Whether the operation is the softmax or sigmoid and nothing else."""
    if isinstance(operation, keras.layers.Activation):
        return _activation(operation) in _SQUASHING
    return type(operation).__name__.lower() in _SQUASHING


def _activation(operation):
    function = getattr(operation, "activation", None)
    return getattr(function, "__name__", type(function).__name__).lower()


def _without_activation(call, operation, arguments, options):
    if _is_itself(operation):
        return arguments[0]
    activation = operation.activation
    operation.activation = keras.activations.linear
    try:
        return call(operation, *arguments, **options)
    finally:
        operation.activation = activation
