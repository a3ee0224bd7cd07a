"""Rules of kerakit's own layers.

Blocks that are made of layers (`TransformerBlock`, `Conv2Plus1D`, `VanillaRNN`) need none.
"""

import math

import keras

from kerakit import layers
from kerakit.cost import formulas, spatial_rules
from kerakit.cost.layer_rules import batch_norm, copied, identity, own_norm, per_element
from kerakit.cost.reach import convolution, transposed_convolution
from kerakit.cost.rule import Cost
from kerakit.models.segmentation.sliding_window import SlidingWindow


def _patches(call):
    """A convolution of as large a stride as kernel, with a bias, in one row."""
    patch, (batch, *sizes, channels) = call.layer.patch_size, call.input_shape
    taps = {axis: convolution(size, stride=size) for axis, size in enumerate(patch, start=1)}
    grid = (batch, *(n // size for n, size in zip(sizes, patch, strict=True)))
    macs = formulas.convolution_macs(patch, channels, call.elements)
    field = call.field.through(taps)
    field = field.reshaped((*grid, call.layer.embedding_dim), call.output_shape, call)
    return Cost(macs=macs, flops=2 * macs, field=field)


def _unpooling(call):
    """Each value goes to one place of its window; nothing is computed."""
    layer = call.layer
    taps = {
        axis: transposed_convolution(size, stride=stride, pad=pad)
        for axis, size, stride, pad in zip(
            (1, 2), layer.pool_size, layer.strides, layer.padding, strict=True
        )
    }
    return Cost(field=call.field.through(taps))


def _windows(call):
    """The classifier's own cost, as often as there are windows; cutting them out is free."""
    patch, (batch, rows, columns, _) = call.layer.classifier.input_shape, call.output_shape
    window = keras.KerasTensor((batch, *patch[1:]), call.inputs[0].dtype)
    call.trace.run(call.layer.classifier, window, times=rows * columns, training=False)
    taps = {
        axis: convolution(size, stride=stride)
        for axis, size, stride in zip((1, 2), patch[1:3], call.layer.strides, strict=True)
    }
    return Cost(field=call.field.through(taps))


def _neighbors(call):
    """Distances to every stored example, or to the short list; choosing among them is free.

    L2 by a matrix product, `2 N D` operations and 2 an example; L1 by `3 N D`.
    """
    layer, features, size = call.layer, call.input_shape[-1], call.layer.store_size
    macs = flops = 0
    if layer.projections is not None:
        macs = (features + size) * layer.projections
        flops, size = 2 * macs + 2 * size, min(layer.shortlist, size)
    if layer.metric == "l2":
        macs += size * features
        flops += 2 * size * features + 2 * size
    else:
        flops += 3 * size * features
    return Cost(macs=macs, flops=flops, field=call.everything)


def _mixture(call):
    """The router on every token, and every expert on as many tokens as it has places for.

    Places that stay empty are computed as well. The rest is the softmax and the choice of
    experts, the gates, and the sum of the answers by them.
    """
    layer, (batch, *positions, width) = call.layer, call.input_shape
    tokens, active = math.prod(positions), layer.num_active
    served = batch * layer.num_experts * layer.capacity(tokens)
    logits = batch * tokens * layer.num_experts
    hidden = keras.KerasTensor((served, layer.hidden_dim), call.outputs[0].dtype)
    activation = call.trace.activation_cost(layer.activation, hidden)

    macs = formulas.dense_macs(width, layer.num_experts, positions=batch * tokens)
    macs += formulas.feed_forward_macs(width, served, layer.hidden_dim)
    flops = 2 * macs + activation.flops
    flops += formulas.activation_flops("softmax", logits) + active * logits
    if active > 1:
        flops += (2 * active - 1) * batch * tokens
    flops += (2 * active - 1) * call.elements
    # An example's tokens compete for places, but are computed one by one.
    return Cost(macs=macs, flops=flops, field=call.field, uncounted=activation.uncounted)


def _regions(call):
    """Each bin is a sum over 2 S rows and as many columns of cells, a product and a sum each."""
    flops = 2 * (2 * call.layer.sampling_ratio) ** 2 * call.elements
    return Cost(flops=flops, field=call.everything)


def _chosen(call):
    """Comparisons of boxes, as many as the data ask for: free, as choosing is everywhere."""
    return Cost(field=call.everything)


def _constants(call):
    """What is known before any input."""
    return Cost(field=call.field.nothing())


KERAKIT_RULES = {
    layers.BatchNormalization: batch_norm,
    layers.FrozenBatchNormalization: batch_norm,
    layers.InstanceNormalization: own_norm,
    # The largest value, and the division by it.
    layers.ScaleByMax: per_element(2),
    layers.DropPath: identity,
    layers.CropLike: copied,
    # By convention as the direct convolution, whatever way they go about it.
    layers.AdaptiveAveragePooling2D: spatial_rules.adaptive_average_rule,
    layers.FFTConv2D: spatial_rules.convolution_rule,
    layers.Im2ColConv2D: spatial_rules.convolution_rule,
    layers.PaddedConv1D: spatial_rules.convolution_rule,
    layers.PaddedConv2D: spatial_rules.convolution_rule,
    layers.PaddedConv3D: spatial_rules.convolution_rule,
    layers.InflatedConv3D: spatial_rules.convolution_rule,
    layers.PaddedConv1DTranspose: spatial_rules.transposed_rule,
    layers.PaddedConv2DTranspose: spatial_rules.transposed_rule,
    layers.PaddedConv3DTranspose: spatial_rules.transposed_rule,
    layers.PaddedDepthwiseConv2D: spatial_rules.depthwise_rule,
    layers.PaddedMaxPooling2D: spatial_rules.max_pooling_rule,
    layers.MaxPooling2DWithIndices: spatial_rules.max_pooling_rule,
    layers.MaxUnpool2D: _unpooling,
    layers.PatchEmbedding: _patches,
    SlidingWindow: _windows,
    layers.MixtureOfExperts: _mixture,
    layers.NearestNeighbors: _neighbors,
    # By convention a sum of four, as of Keras's, and not the products that it is made by.
    layers.ResizeLike: spatial_rules.resizing_rule,
    layers.RoIAlign: _regions,
    layers.MultiScaleRoIAlign: _regions,
    layers.NonMaxSuppression: _chosen,
    layers.AnchorGenerator: _constants,
}
