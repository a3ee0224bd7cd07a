"""Rules of Keras's layers, by their class; a class of a user's has those of the class it extends.

A layer without a rule that is written in `keras.ops` needs none: its `call` is traced.
"""

import math
from dataclasses import replace

from keras import layers

from kerakit.activations import TABLE
from kerakit.cost import formulas, spatial_rules
from kerakit.cost.equation import einsum_field, einsum_macs
from kerakit.cost.formulas.attention import scores_flops
from kerakit.cost.movement_rules import concatenated, reshaped
from kerakit.cost.recurrent_rules import RECURRENT_RULES
from kerakit.cost.rule import Cost, size_in_bytes
from kerakit.cost.spatial_rules import with_activation


def _for_dimensions(name, rule):
    """The rule for the layers of one, two and three dimensions, as far as there are such."""
    named = (name.format(dimensions) for dimensions in (1, 2, 3))
    return {getattr(layers, each): rule for each in named if hasattr(layers, each)}


def per_element(flops):
    """A rule of `flops` operations an element of the output, each of which reads its own."""

    def rule(call):
        return Cost(flops=flops * call.elements, field=call.union)

    return rule


def identity(call):
    """A layer that does nothing at inference."""
    return Cost(shares_memory=True, field=call.field)


def copied(call):
    """A layer that fetches what it does not compute."""
    return Cost(field=call.field)


def _dense(call):
    *positions, inputs = call.input_shape
    macs = formulas.dense_macs(inputs, call.layer.units, positions=math.prod(positions))
    return with_activation(call, macs, call.field.contracted(call.input_shape, (-1,)))


def _einsum_dense(call):
    equation = call.layer.equation
    shapes = [call.input_shape, tuple(call.layer.kernel.shape)]
    fields = [call.field, call.field.nothing()]
    field = einsum_field(equation, shapes, fields, call.output_shape)
    return with_activation(call, einsum_macs(equation, shapes), field)


def _activation(call):
    then = call.trace.activation_cost(call.layer.activation, call.inputs[0])
    alone = then.flops == 0 and not then.uncounted
    return Cost(
        macs=then.macs,
        flops=then.flops,
        uncounted=then.uncounted,
        shares_memory=alone,
        field=then.field,
    )


def _relu(call):
    has = call.layer
    each = TABLE["leaky_relu" if has.negative_slope else "relu"].flops_per_element
    each += has.max_value is not None
    return Cost(flops=each * call.elements, field=call.field)


def _softmax(call):
    axis = call.layer.axis
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    flops = formulas.activation_flops("softmax", call.elements)
    return Cost(flops=flops, field=call.field.contracted(call.input_shape, axes))


def batch_norm(call):
    """Statistics are constants at inference."""
    return Cost(flops=formulas.batch_norm_flops(call.elements), field=call.field)


def own_norm(call):
    """A normalisation by the example's own statistics, as layer, group and instance norm."""
    scale, shift = getattr(call.layer, "scale", True), getattr(call.layer, "center", True)
    if getattr(call.layer, "rms_scaling", False):
        return _rms_norm(call)
    flops = formulas.layer_norm_flops(call.elements, scale=scale, shift=shift)
    return Cost(flops=flops, field=call.field)


def _rms_norm(call):
    # Square, sum, division, gamma.
    return Cost(flops=4 * call.elements, field=call.field)


def _merge(call):
    """Add, Subtract, Multiply, Maximum, Minimum: one operation less than inputs."""
    return Cost(flops=(len(call.inputs) - 1) * call.elements, field=call.union)


def _average(call):
    return Cost(flops=len(call.inputs) * call.elements, field=call.union)


def _merge_dot(call):
    one, other = call.input_shapes
    summed = math.isqrt(math.prod(one) * math.prod(other) // call.elements)
    macs = call.elements * summed
    return Cost(macs=macs, flops=2 * macs)


def _permute(call):
    places = {0: 0} | {old: new for new, old in enumerate(call.layer.dims, start=1)}
    return Cost(field=call.field.relocated(places))


def _repeat_vector(call):
    return Cost(field=call.field.relocated({0: 0, 1: 2}))


def _multi_head_attention(call):
    """Projections, scores, softmax and the weighted sum, whatever way they are computed."""
    layer = call.layer
    query, value = call.inputs[:2]
    key = _given(call, 2, "key", value)
    sources = {"query": query, "key": key, "value": value, "gate": query}
    dense = {name: getattr(layer, f"_{name}_dense", None) for name in (*sources, "output")}
    heads, key_width = dense["query"].kernel.shape[-2:]
    value_width = dense["value"].kernel.shape[-1]
    positions = math.prod(query.shape[:-1])
    attended = math.prod(value.shape[axis] for axis in getattr(layer, "_attention_axes", (1,)))
    scores, context = heads * positions * attended, heads * positions * value_width

    projected = {name: x for name, x in sources.items() if dense[name] is not None}
    macs = sum(
        formulas.dense_macs(
            math.prod(dense[name].kernel.shape[:1]),
            math.prod(dense[name].kernel.shape[1:]),
            positions=math.prod(x.shape[:-1]),
        )
        for name, x in projected.items()
    )
    macs += scores * (key_width + value_width)
    macs += positions * math.prod(dense["output"].kernel.shape)
    flops = 2 * macs + scores_flops(scores)
    if dense["gate"] is not None:
        # A sigmoid, and the product with it.
        flops += formulas.activation_flops("sigmoid", context) + context
    elements = (
        scores
        + context
        + sum(
            math.prod(x.shape[:-1]) * math.prod(dense[name].kernel.shape[1:])
            for name, x in projected.items()
        )
    )
    kept = elements * size_in_bytes(call.outputs[0]) // call.elements
    return Cost(macs=macs, flops=flops, kept=kept, field=call.everything)


def _given(call, position, name, default):
    arguments = call.arguments
    found = arguments[position] if len(arguments) > position else call.options.get(name)
    return default if found is None else found


def _attention(call):
    """Attention without projections: what its `call` does."""
    layer = call.layer
    cost = call.trace.cost_of(lambda *x: layer.call(*x, **call.options), *call.arguments)
    return replace(cost, field=call.everything)


LAYER_RULES = {
    **RECURRENT_RULES,
    # Products.
    layers.Dense: _dense,
    layers.EinsumDense: _einsum_dense,
    layers.MultiHeadAttention: _multi_head_attention,
    layers.GroupQueryAttention: _multi_head_attention,
    layers.Attention: _attention,
    layers.AdditiveAttention: _attention,
    layers.Dot: _merge_dot,
    # Neighbourhoods.
    **_for_dimensions("Conv{}D", spatial_rules.convolution_rule),
    **_for_dimensions("Conv{}DTranspose", spatial_rules.transposed_rule),
    **_for_dimensions("DepthwiseConv{}D", spatial_rules.depthwise_rule),
    **_for_dimensions("SeparableConv{}D", spatial_rules.separable_rule),
    **_for_dimensions("MaxPooling{}D", spatial_rules.max_pooling_rule),
    **_for_dimensions("AveragePooling{}D", spatial_rules.average_pooling_rule),
    **_for_dimensions("GlobalMaxPooling{}D", spatial_rules.global_max_rule),
    **_for_dimensions("GlobalAveragePooling{}D", spatial_rules.global_average_rule),
    **_for_dimensions("AdaptiveMaxPooling{}D", spatial_rules.adaptive_max_rule),
    **_for_dimensions("AdaptiveAveragePooling{}D", spatial_rules.adaptive_average_rule),
    **_for_dimensions("UpSampling{}D", spatial_rules.resizing_rule),
    **_for_dimensions("ZeroPadding{}D", spatial_rules.zero_padding_rule),
    **_for_dimensions("Cropping{}D", spatial_rules.cropping_rule),
    layers.Resizing: spatial_rules.resizing_rule,
    # Elements.
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: per_element(TABLE["leaky_relu"].flops_per_element),
    layers.PReLU: per_element(TABLE["prelu"].flops_per_element),
    layers.ELU: per_element(TABLE["elu"].flops_per_element),
    layers.Softmax: _softmax,
    layers.BatchNormalization: batch_norm,
    layers.Normalization: per_element(2),
    layers.Rescaling: per_element(2),
    layers.LayerNormalization: own_norm,
    layers.GroupNormalization: own_norm,
    layers.RMSNormalization: _rms_norm,
    layers.UnitNormalization: per_element(3),
    # Merging.
    **dict.fromkeys(
        (layers.Add, layers.Subtract, layers.Multiply, layers.Maximum, layers.Minimum), _merge
    ),
    layers.Average: _average,
    layers.Concatenate: concatenated,
    # Nothing is computed.
    layers.Embedding: copied,
    layers.Flatten: reshaped,
    layers.Reshape: reshaped,
    layers.Permute: _permute,
    layers.RepeatVector: _repeat_vector,
    **dict.fromkeys(
        (
            layers.Identity,
            layers.ActivityRegularization,
            layers.Dropout,
            layers.AlphaDropout,
            layers.GaussianDropout,
            layers.GaussianNoise,
            layers.SpatialDropout1D,
            layers.SpatialDropout2D,
            layers.SpatialDropout3D,
            *(
                getattr(layers, name)
                for name in dir(layers)
                if name.startswith("Random") and name != "RandomCrop"
            ),
        ),
        identity,
    ),
}
