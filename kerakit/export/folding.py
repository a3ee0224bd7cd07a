"""Batch normalisation as part of the convolution or dense layer before it."""

import collections
import itertools

import keras
import numpy as np
from keras.src.models.functional import Functional  # no public name

from kerakit.export.taken_apart import ConvOverTime, taken_apart
from kerakit.layers import (
    BatchNormalization,
    FrozenBatchNormalization,
    MaxPooling2DWithIndices,
    PaddedConv1D,
    PaddedConv2D,
    PaddedConv3D,
    PaddedDepthwiseConv2D,
)

_NORMS = (keras.layers.BatchNormalization, BatchNormalization, FrozenBatchNormalization)
_DEPTHWISE = (keras.layers.DepthwiseConv2D, PaddedDepthwiseConv2D)
_LINEAR = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    PaddedConv1D,
    PaddedConv2D,
    PaddedConv3D,
    ConvOverTime,
    *_DEPTHWISE,
)


def fold(model):
    """A model for inference, with norms folded into the layers before them.

    A norm with `s = gamma / sqrt(moving_variance + epsilon)` behind a layer of kernel W and bias b
    is a layer of kernel `W s` and bias `(b - moving_mean) s + beta`. Both are computed in float64.
    Folded is each norm that is the only reader of a Dense, a Conv1D to Conv3D or a DepthwiseConv2D
    (Keras's, or kerakit's padded ones) without an activation, channels last and in float32 or
    float64, also inside nested models. The layer keeps its name, and the norm is gone. A
    `Conv2Plus1D` becomes its steps, two convolutions, and takes both the norm inside it and the one
    behind it. With the norm of a `PaddedConv3D` goes the ReLU behind it, since the reshape that
    ends a convolution of frames would keep TensorFlow from fusing the two ((2+1)D networks answer
    in 0.85 of the time). Everything else stays, such as a norm before its convolution, as in
    DenseNet: it does not go through the ReLU between them. In half precision nothing is folded, as
    the new kernel would be rounded otherwise than the old one's answers; nor in a model that pools
    with indices: of two maxima that are as good as equal the last digit chooses, and with it a
    pixel's place.

    The model is left as it was. The layers that stay are its own and hold its weights; what is
    folded no longer follows them.

    Args:
        model: Functional or sequential Keras model.

    Returns:
        A functional `keras.Model` that answers with `training=False` as the model does; the
        model itself where there is nothing to fold, or where its class has a `call` of its own.

    Reference:
        Jacob et al., Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference, 2018, Section 3.2 (Eq. 14). Deviations: none.

    Example:

    >>> images = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(images)
    >>> x = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="norm")(x))
    >>> [layer.name for layer in fold(keras.Model(images, x)).layers[1:]]
    ['conv', 'relu']
    """
    if not _is_graph(model) or _unpools(model):
        return model
    # A plain model around the same graph: a copy of a compiled one would be compiled too.
    in_a_row = type(model) is keras.Sequential
    inputs, outputs = (
        (model.inputs[0], model.outputs[0]) if in_a_row else (model.input, model.output)
    )
    graph = taken_apart(keras.Model(inputs, outputs, name=model.name))
    readers, uses = _counts(graph)
    nested, folded, made, rectified, calls = {}, {}, {}, {}, itertools.count()

    def replacement(layer):
        if not isinstance(layer, keras.Model):
            return layer
        if id(layer) not in nested:
            nested[id(layer)] = layer, fold(layer)
        return nested[id(layer)][1]

    def call(layer, *arguments, **options):
        number = next(calls)
        if arguments and rectified.pop(id(arguments[0]), None) is not None:
            return arguments[0]  # by its only reader, the ReLU that is in it
        producer = made.get(id(arguments[0])) if len(arguments) == 1 else None
        if producer and len(readers[producer.number]) == 1 and _fits(producer, layer, options):
            pair = id(producer.layer), id(layer)
            is_shared = uses[id(producer.layer)] > 1
            takes_relu = not is_shared and _takes_relu(producer.layer, readers[number])
            if pair not in folded:
                folded[pair] = _folded(producer, layer, is_shared)
                if takes_relu:
                    folded[pair].activation = keras.activations.relu
            output = folded[pair](*producer.arguments, **producer.options)
            if takes_relu:
                rectified[id(output)] = output
            return output
        output = layer(*arguments, **options)
        if type(layer) in _LINEAR:
            made[id(output)] = _Call(number, layer, arguments, options, output)
        return output

    copy = keras.models.clone_model(graph, clone_function=replacement, call_function=call)
    is_changed = folded or any(new is not old for old, new in nested.values())
    return copy if is_changed else model


# `output` is kept so that no other tensor gets its id.
_Call = collections.namedtuple("_Call", "number layer arguments options output")


def _counts(graph):
    """Layers that read what each call of a graph gives, by its number, and calls of each layer."""
    readers, uses = collections.defaultdict(list), collections.Counter()
    numbers, calls, kept = {}, itertools.count(), []

    def read(structure, reader):
        for tensor in keras.tree.flatten(structure):
            readers[numbers.get(id(tensor))].append(reader)

    def call(layer, *arguments, **options):
        uses[id(layer)] += 1
        read((arguments, options), layer)
        number, outputs = next(calls), layer(*arguments, **options)
        kept.append(outputs)
        numbers.update({id(tensor): number for tensor in keras.tree.flatten(outputs)})
        return outputs

    copy = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    read(copy.output, None)
    return readers, uses


def _unpools(model):
    """Whether places of maxima are handed on; SegNet's answers moved by 0.07 when folded."""
    layers = model._flatten_layers(include_self=False)
    return any(isinstance(layer, MaxPooling2DWithIndices) for layer in layers)


def _is_graph(model):
    # Not a subclass: its `call` may do anything. An unbuilt sequential model has no graph.
    return type(model) is Functional or (type(model) is keras.Sequential and model.built)


def _fits(producer, norm, options):
    """Whether a norm, called with these options, can go into the layer before it."""
    layer = producer.layer
    if type(norm) not in _NORMS or options.get("training"):
        return False
    axis = getattr(norm, "axis", -1)
    return (
        layer.activation is keras.activations.linear
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and axis in (-1, len(producer.output.shape) - 1)
        and layer.dtype_policy.quantization_mode is None
        and {layer.compute_dtype, norm.compute_dtype} <= {"float32", "float64"}
    )


def _takes_relu(layer, readers):
    """Whether a ReLU, and it alone, reads the norm of this convolution."""
    relu = readers[0] if len(readers) == 1 else None
    return (
        type(layer) in (PaddedConv3D, ConvOverTime)
        and _is_relu(relu)
        and relu.compute_dtype == layer.compute_dtype
    )


def _is_relu(layer):
    """Whether a layer is `max(x, 0)` and nothing else."""
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.relu
    return type(layer) is keras.layers.ReLU and not (
        layer.max_value is not None or layer.negative_slope or layer.threshold
    )


def _folded(producer, norm, is_shared):
    """The producer's layer anew, with the norm in its weights."""
    layer = producer.layer
    # A layer that is called elsewhere too may stay there as it is, or with another norm.
    name = f"{layer.name}_{norm.name}" if is_shared else layer.name
    copy = layer.__class__.from_config({**layer.get_config(), "use_bias": True, "name": name})
    copy.build(producer.arguments[0].shape)
    exact = {
        name: np.asarray(keras.ops.convert_to_numpy(value), "float64")
        for name, value in (
            ("kernel", layer.kernel),
            ("bias", layer.bias),
            ("gamma", norm.gamma),
            ("beta", norm.beta),
            ("mean", norm.moving_mean),
            ("variance", norm.moving_variance),
        )
        if value is not None
    }
    scale = exact.get("gamma", 1.0) / np.sqrt(exact["variance"] + norm.epsilon)
    bias = (exact.get("bias", 0.0) - exact["mean"]) * scale + exact.get("beta", 0.0)
    # Depthwise kernels are (F, F, C, M), their outputs c M + m.
    kernel = exact["kernel"]
    kernel = kernel * (scale.reshape(kernel.shape[2:]) if type(layer) in _DEPTHWISE else scale)
    copy.kernel.assign(kernel)
    copy.bias.assign(bias)
    return copy
