"""Rules of matrix products: the functions of `keras.ops`, and what layers are made of them."""

import math

from kerakit.cost.equation import einsum_field, einsum_macs
from kerakit.cost.formulas.attention import scores_flops
from kerakit.cost.rule import Cost


def product(call, equation):
    """The cost of a product of two operands by an einsum equation."""
    shapes, fields = call.input_shapes[:2], call.fields[:2]
    macs = einsum_macs(equation, shapes)
    field = einsum_field(equation, shapes, fields, call.output_shape)
    return Cost(macs=macs, flops=2 * macs, field=field)


def _matmul(call):
    one, other = map(len, call.input_shapes[:2])
    left = "j" if one == 1 else "...ij"
    right = "j" if other == 1 else "...jk"
    result = "..." + "i" * (one > 1) + "k" * (other > 1)
    if one == 1 or other == 1:
        result = result if max(one, other) > 1 else ""
    return product(call, f"{left},{right}->{result}")


def _dot(call):
    rank = len(call.input_shapes[1])
    if rank == 1:
        return product(call, "...j,j->...")
    if rank == 2:
        return product(call, "...j,jk->...k")
    macs = call.elements * call.input_shape[-1]
    return Cost(macs=macs, flops=2 * macs)


def _tensordot(call):
    one, other = call.input_shapes[:2]
    # Both products together hold each result times the square of what is summed over.
    summed = math.isqrt(math.prod(one) * math.prod(other) // call.elements)
    macs = call.elements * summed
    axes = call.layer.axes
    if not isinstance(axes, int) or call.fields[1].axes:
        return Cost(macs=macs, flops=2 * macs)
    field = call.field.contracted(one, range(len(one) - axes, len(one)) if axes else ())
    return Cost(macs=macs, flops=2 * macs, field=field)


def _einsum(call):
    equation = call.layer.subscripts
    if len(call.inputs) == 2:
        return product(call, equation)
    field = einsum_field(equation, call.input_shapes, call.fields, call.output_shape)
    if len(call.inputs) == 1:
        return Cost(flops=math.prod(call.input_shape) - call.elements, field=field)
    return Cost(uncounted=(f"an einsum of {len(call.inputs)} operands",), field=field)


def _attention(call):
    (batch, queries, heads, width), key, value = call.input_shapes[:3]
    scores = batch * heads * queries * key[1]
    macs = scores * (width + value[-1])
    return Cost(macs=macs, flops=2 * macs + scores_flops(scores), field=call.everything)


PRODUCT_RULES = {
    "Matmul": _matmul,
    "Dot": _dot,
    "Tensordot": _tensordot,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}
