"""Layers that are made of others, as those others in the graph of a model."""

import keras
import numpy as np
from keras import ops

from kerakit.layers import Conv2Plus1D, PaddedConv3D
from kerakit.ops import direct_convolution

# TensorFlow's convolutions on a CPU are made for multiples of 16 channels: of 16 x 28 x 28 from
# 128 channels, 3 x 3 to 230 took 42 ms and to 240 took 31, to 460 and 464 (stride 2) 40 and 36.
# Where it adds up to this share of channels, zero ones fill them up.
LANES, MOST_ADDED = 16, 0.05


def taken_apart(graph):
    """A model with each `Conv2Plus1D` as its four steps, so that norms can be folded into them.

    The steps are called as in torchvision's checkpoints, the layer's own name before them:
    `conv1_0` over space, `conv1_1` the norm, `conv1_2` the ReLU, `conv1_3` over time. They have
    weights of their own, copies of the layer's, with channels of zeros between them where their
    number is a slow one; all other layers are the model's.

    Args:
        graph: Functional `keras.Model`.

    Returns:
        Functional `keras.Model` that answers as `graph` does; `graph` itself where there is no
        such layer, or where a name of a step is taken.

    Example:

    >>> clips = keras.Input((4, 8, 8, 3))
    >>> model = keras.Model(clips, Conv2Plus1D(4, 3, name="conv1")(clips))
    >>> [layer.name for layer in taken_apart(model).layers[1:]]
    ['conv1_0', 'conv1_1', 'conv1_2', 'conv1_3']
    """
    names = {layer.name for layer in graph.layers}
    whole = [layer for layer in graph.layers if type(layer) is Conv2Plus1D]
    if not whole or names & {f"{layer.name}_{step}" for layer in whole for step in range(4)}:
        return graph
    steps = {id(layer): _steps(layer) for layer in whole}

    def call(layer, *arguments, **options):
        if id(layer) not in steps:
            return layer(*arguments, **options)
        spatial, norm, relu, temporal = steps[id(layer)]
        # A norm that goes by the batch even when it answers is to go on doing so.
        training = {"training": True} if options.get("training") else {}
        return temporal(relu(norm(spatial(*arguments), **training)))

    return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)


@keras.saving.register_keras_serializable(package="kerakit")
class ConvOverTime(PaddedConv3D):
    """A `PaddedConv3D` of kernel (t, 1, 1) as a convolution in 2D, over time and all places.

    The same numbers, forward in 0.94 of the time (2 x 8 x 28 x 28, 288 to 128 channels, ReLU
    fused); with backward it would take 1.7 times as long.
    """

    def call(self, inputs):
        frames, height, width, channels = ops.shape(inputs)[1:]
        outputs = direct_convolution(
            ops.reshape(inputs, (-1, frames, height * width, channels)),
            ops.squeeze(self.kernel, 2),
            strides=(self.strides[0], 1),
            padding=(self.padding[0], 0),
        )
        # Before the reshape, so that TensorFlow fuses them.
        outputs = self._finished(outputs)
        return ops.reshape(outputs, (-1, ops.shape(outputs)[1], height, width, self.filters))


def _steps(layer):
    channels = layer.mid_filters
    added = -channels % LANES
    added = added if added <= MOST_ADDED * channels else 0
    spatial = _copy(
        layer.spatial,
        type(layer.spatial),
        f"{layer.name}_0",
        filters=channels + added,
        weights=[_with_zeros(w, added, axis=-1) for w in layer.spatial.get_weights()],
    )
    # A channel of zeros stays one: its mean and shift are 0.
    norm = _copy(
        layer.norm,
        type(layer.norm),
        f"{layer.name}_1",
        weights=[_with_zeros(w, added, axis=-1) for w in layer.norm.get_weights()],
    )
    relu = keras.layers.ReLU(dtype=layer.dtype_policy, name=f"{layer.name}_2")
    temporal = _copy(
        layer.temporal,
        ConvOverTime,
        f"{layer.name}_3",
        weights=[_with_zeros(w, added, axis=-2) for w in layer.temporal.get_weights()],
    )
    return spatial, norm, relu, temporal


def _copy(layer, kind, name, *, weights, **changed):
    """A layer of another name, perhaps kind, whose weights are of shapes of their own."""
    config = {**layer.get_config(), **changed, "name": name, "dtype": layer.dtype_policy}
    copy = kind.from_config(config)
    channels = weights[0].shape[-2 if hasattr(layer, "kernel") else -1]
    copy.build((*layer.get_build_config()["input_shape"][:-1], channels))
    copy.set_weights(weights)
    return copy


def _with_zeros(array, count, *, axis):
    pads = [(0, 0)] * array.ndim
    pads[axis] = (0, count)
    return np.pad(array, pads)
