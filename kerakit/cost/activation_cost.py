"""What an activation function costs, whether a layer ends in it or consists of it."""

import math
from dataclasses import replace

import keras

from kerakit.activations import TABLE
from kerakit.cost.operation_rules import PER_ELEMENT
from kerakit.cost.rule import Cost

# Keras's that take no symbolic tensor.
_OTHERS = {
    keras.activations.hard_silu: PER_ELEMENT["HardSilu"],
    # x tanh(softplus(x))
    keras.activations.mish: 1 + PER_ELEMENT["Tanh"] + PER_ELEMENT["Softplus"],
}


def activation_cost(trace, activation, tensor):
    """`Cost` of an activation by `kerakit.activations.TABLE`, or else by its operations.

    Args:
        trace: The `Trace`.
        activation: A function or layer.
        tensor: What it is applied to.
    """
    field, elements = trace.field_of(tensor), math.prod(tensor.shape)
    if activation is TABLE["softmax"].function:
        field = field.contracted(tensor.shape, (-1,))
    for entry in TABLE.values():
        if activation is entry.function:
            return Cost(flops=entry.flops_per_element * elements, field=field)
    for function, each in _OTHERS.items():
        if activation is function:
            return Cost(flops=each * elements, field=field)
    try:
        cost = trace.cost_of(activation, tensor)
    except Exception:
        return Cost(field=field, uncounted=(f"its activation {_name(activation)}",))
    unknown = tuple(f"{what} in its activation {_name(activation)}" for what in cost.uncounted)
    return replace(cost, uncounted=unknown)


def _name(activation):
    return getattr(activation, "__name__", None) or type(activation).__name__
