"""Rules of `keras.ops`: what a function costs, by the name of its operation.

As in `kerakit.activations.TABLE`, an addition, a subtraction, a product, a division, a root, an
exponential or another function of one number, and a choice between two values are 1 each.
"""

import math

from kerakit.activations import TABLE
from kerakit.cost import formulas
from kerakit.cost.movement_rules import MOVEMENT_RULES
from kerakit.cost.product_rules import PRODUCT_RULES
from kerakit.cost.rule import Cost
from kerakit.cost.spatial_rules import SPATIAL_RULES

_ONE = (
    "Add Subtract Multiply Divide TrueDivide FloorDivide Power Mod Fmod Negative Absolute Abs Fabs "
    "Square Sqrt Cbrt Reciprocal Exp Exp2 Log Log2 Log10 Sin Cos Tan Arcsin Arccos Arctan Arctan2 "
    "Sinh Cosh Erf Erfc Sign Floor Ceil Round Trunc Maximum Minimum Fmax Fmin Where Heaviside "
    "Threshold Equal NotEqual Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr LogicalNot "
    "LogicalXor Isnan Isinf Isfinite"
)
# FLOPs an element of the output.
PER_ELEMENT = {
    "Relu": TABLE["relu"].flops_per_element,
    "LeakyRelu": TABLE["leaky_relu"].flops_per_element,
    "Sigmoid": TABLE["sigmoid"].flops_per_element,
    "Tanh": TABLE["tanh"].flops_per_element,
    "Elu": TABLE["elu"].flops_per_element,
    # Those that the table lacks, from their formulas.
    "Relu6": 2,  # min(max(x, 0), 6)
    "HardTanh": 2,
    "Clip": 2,
    "Softplus": 3,  # log(1 + e^x)
    "Softsign": 3,  # x / (1 + |x|)
    "HardSigmoid": 4,  # relu6(x + 3) / 6
    "Silu": 5,  # x sigmoid(x)
    "HardSilu": 5,  # x hard_sigmoid(x)
    "LogSigmoid": 5,  # -softplus(-x)
    "Selu": 5,  # scale elu(x)
    "Celu": 5,  # x, or alpha (e^(x / alpha) - 1)
    "TanhShrink": 7,  # x - tanh(x)
    "HardShrink": 2,  # |x| and a choice
    "SoftShrink": 4,  # x - l, x + l and two choices
    "SparseSigmoid": 4,  # (x + 1) / 2 and two choices
    "SparsePlus": 5,  # (x + 1)^2 / 4 and two choices
    "Squareplus": 5,  # (x + sqrt(x^2 + b)) / 2
    "Glu": 5,  # x sigmoid(y)
    "Rsqrt": 2,
    "Expm1": 2,
    "Log1p": 2,
    "DivideNoNan": 2,
    "BatchNorm": 2,
    **dict.fromkeys(_ONE.split(), 1),
}
_REDUCTIONS = ("Sum", "Max", "Min", "Amax", "Amin", "Prod", "All", "Any", "Argmax", "Argmin")


def operation_rule(operation):
    """The rule of a Keras operation, or None."""
    if not type(operation).__module__.startswith("keras."):
        return None
    return RULES.get(type(operation).__name__)


def _elementwise(call):
    flops = PER_ELEMENT[type(call.layer).__name__] * call.elements
    return Cost(flops=flops, field=call.union)


def _gelu(call):
    # The tanh form: x / 2 (1 + tanh(c (x + 0.044715 x^3))).
    approximate = call.layer.approximate
    each = 8 + TABLE["tanh"].flops_per_element if approximate else TABLE["gelu"].flops_per_element
    return Cost(flops=each * call.elements, field=call.field)


def _softmax(call):
    flops = formulas.activation_flops("softmax", call.elements)
    return Cost(flops=flops, field=call.field.contracted(call.input_shape, _axes(call)))


def _reduction(call):
    """One operation less than elements that are taken together."""
    return Cost(flops=math.prod(call.input_shape) - call.elements, field=_reduced_field(call))


def _for_each_input(times):
    """A rule of `times` operations an element of the input."""

    def rule(call):
        return Cost(flops=times * math.prod(call.input_shape), field=_reduced_field(call))

    return rule


def _deviation(call):
    # A variance, and the root.
    flops = 4 * math.prod(call.input_shape) + call.elements
    return Cost(flops=flops, field=_reduced_field(call))


def _cumulative(call):
    return Cost(flops=call.elements, field=call.field.contracted(call.input_shape, _axes(call)))


def _top_k(call):
    # One comparison an element for each of the k.
    flops = call.layer.k * math.prod(call.input_shape)
    return Cost(flops=flops, field=call.field.contracted(call.input_shape, (-1,)))


def _layer_norm(call):
    # Each input behind the first is a gamma or a beta.
    flops = (5 + len(call.inputs) - 1) * math.prod(call.input_shape)
    return Cost(flops=flops, field=call.field)


def _rms_norm(call):
    # Square, sum, division; then gamma.
    return Cost(flops=(2 + len(call.inputs)) * math.prod(call.input_shape), field=call.field)


def _unit_norm(call):
    return Cost(flops=3 * call.elements, field=call.field)


def _axes(call):
    axis = getattr(call.layer, "axis", None)
    axis = getattr(call.layer, "axes", None) if axis is None else axis
    rank = len(call.input_shape)
    if axis is None:
        return list(range(rank))
    return [a % rank for a in (axis if isinstance(axis, list | tuple) else (axis,))]


def _reduced_field(call):
    axes, rank = _axes(call), len(call.input_shape)
    field = call.field.contracted(call.input_shape, axes)
    if len(call.output_shape) == rank:
        return field
    left = [place for place in range(rank) if place not in axes]
    return field.relocated({place: new for new, place in enumerate(left)})


RULES = {
    **dict.fromkeys(PER_ELEMENT, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **MOVEMENT_RULES,
    **PRODUCT_RULES,
    **SPATIAL_RULES,
    "Gelu": _gelu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Mean": _for_each_input(1),
    "Logsumexp": _for_each_input(2),
    "Norm": _for_each_input(2),
    "Var": _for_each_input(4),
    "Moments": _for_each_input(4),
    "Std": _deviation,
    "Cumsum": _cumulative,
    "Cumprod": _cumulative,
    "TopK": _top_k,
    "LayerNorm": _layer_norm,
    "RMSNorm": _rms_norm,
    "Normalize": _unit_norm,
}
