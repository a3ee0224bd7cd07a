"""A classifier of images made one of clips: its kernels repeated along time."""

import math

import keras
import numpy as np
from keras import layers

from kerakit.layers import EachFrame, InflatedConv3D
from kerakit.layers.adaptive_average_pooling import AdaptiveAveragePooling2D
from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.drop_path import DropPath
from kerakit.layers.frozen_batch_normalization import FrozenBatchNormalization
from kerakit.layers.instance_normalization import InstanceNormalization
from kerakit.layers.padded_conv import PaddedConv2D
from kerakit.layers.padded_depthwise_conv import PaddedDepthwiseConv2D
from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.layers.scale_by_max import ScaleByMax
from kerakit.layers.standardize_by_example import StandardizeByExample

# The very classes: what a subclass adds would be lost, or wrong for a clip.
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, PaddedConv2D, PaddedDepthwiseConv2D)
# Layers that treat every place alike, or take an example as a whole.
PLACEWISE = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.Add,
    layers.AlphaDropout,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Normalization,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.Subtract,
    BatchNormalization,
    DropPath,
    FrozenBatchNormalization,
    ScaleByMax,
    StandardizeByExample,
)
# Layers of a picture, which get one frame at a time.
OF_PICTURES = (
    layers.AdaptiveAveragePooling2D,
    layers.AdaptiveMaxPooling2D,
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.GroupNormalization,
    layers.MaxPooling2D,
    layers.PReLU,
    layers.Permute,
    layers.Reshape,
    layers.Resizing,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    AdaptiveAveragePooling2D,
    InstanceNormalization,
    PaddedMaxPooling2D,
)
# Functions of `keras.ops` between layers, such as a preprocessing's.
FUNCTIONS = ("Add", "Divide", "GetItem", "Multiply", "Subtract", "TrueDivide")


def inflate(model, frames, *, temporal_kernel=3, temporal_strides=1, name=None):
    """A trained classifier of images as one of clips, which knows what the images taught it.

    Every k x k kernel becomes t x k x k: the same weights t times, over t. A clip of one
    repeated picture gives the picture's logits, whatever its length, as each convolution goes on
    past the clip's ends with its first and last frame (`InflatedConv3D`). From there training
    finds out what motion says. Poolings and all else work on each frame as before, and the
    answers of the frames are averaged at the end.

    Args:
        model: Functional `keras.Model` of one (B, H, W, C) input and (B, K) outputs: of
            `kerakit.models.classification`, `keras.applications` or one's own. It is left as it
            is.
        frames: T of the clips; None: any.
        temporal_kernel: t, an odd number of frames for every kernel of more than one pixel; or a
            function from a convolution of `model` to its t.
        temporal_strides: Frames from an output to the next wherever space is halved, an integer
            or one for each halving, the first of them first: (1, 1, 2, 2, 2) keeps each frame
            through the first two layers of stride 2 (a ResNet's stem) and every second behind
            the others. Missing ones are 1.
        name: Name of the new model; None: the model's, and "_inflated".

    Returns:
        `keras.Model` from (B, T, H, W, C) to (B, K), with the layers' names of `model`. Kernels
        are (t, k, k, C / groups, K); those of a depthwise convolution (t, k, k, 1, C M).

    Raises:
        ValueError: If `model` has layers that cannot be inflated (all of them are named), or an
            argument is out of range.

    Reference:
        Carreira and Zisserman, Quo Vadis, Action Recognition? A New Model and the Kinetics
        Dataset, 2017, Section 2.4.1. Deviations: first and last frames are repeated where they
        pad with zeros; poolings do not look along time; 1 x 1 kernels stay.

    Example:

    >>> from kerakit.models.classification import mobilenet_v2
    >>> images = mobilenet_v2(input_shape=(32, 32, 3), num_classes=5, width=0.25)
    >>> clips = inflate(images, 7, temporal_strides=(1, 1, 2, 2, 2))
    >>> image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
    >>> still = np.repeat(image[:, None], 7, axis=1)
    >>> difference = clips.predict(still, verbose=0) - images.predict(image, verbose=0)
    >>> bool(np.abs(difference).max() < 1e-4)
    True
    """
    graph = _checked_graph(model)
    if frames is not None and (not isinstance(frames, int) or frames < 1):
        raise ValueError(f"`frames` must be a positive integer or None, got {frames!r}.")
    _check_strides(temporal_strides)
    height = graph.inputs[0].shape[1]

    def inflated(layer):
        if not isinstance(layer, layers.Layer):
            return layer
        stride = _temporal_stride(layer, temporal_strides, height)
        if type(layer) in CONVOLUTIONS:
            return _inflated_convolution(layer, _frames_seen(layer, temporal_kernel), stride)
        if type(layer) in OF_PICTURES:
            return EachFrame(_copied(layer), stride=stride, name=layer.name)
        if type(layer) is layers.SpatialDropout2D:
            return layers.SpatialDropout3D(layer.rate, name=layer.name, dtype=layer.dtype_policy)
        return _copied(layer)

    clips = keras.Input((frames, *graph.inputs[0].shape[1:]), name="clips")
    inputs = keras.tree.pack_sequence_as(graph.input, [clips])
    body = keras.models.clone_model(graph, input_tensors=inputs, clone_function=inflated)
    new = {layer.name: layer for layer in body.layers}
    for layer in graph.layers:
        if layer.weights:
            _take_weights(new[layer.name], layer)
    outputs = keras.tree.map_structure(_over_time, body.output)
    return keras.Model(clips, outputs, name=name or f"{model.name}_inflated")


def _over_time(x):
    """Mean over the frames; in the type of the answers, whatever today's policy."""
    name = f"{x._keras_history.operation.name}_over_time"
    return layers.GlobalAveragePooling1D(dtype=x.dtype, name=name)(x)


def _checked_graph(model):
    """The model as a functional one whose layers can all be inflated."""
    shape = tuple(model.inputs[0].shape) if getattr(model, "inputs", None) else None
    if shape is None or len(model.inputs) > 1 or len(shape) != 4:
        raise ValueError(
            "`model` must be a functional model of one input, (B, H, W, C) images, got "
            f"{getattr(model, 'name', model)!r}."
        )
    if any(len(x.shape) != 2 for x in model.outputs):
        shapes = ", ".join(str(tuple(x.shape)) for x in model.outputs)
        raise ValueError(f"`model` must have (B, K) outputs, got {model.name!r} with {shapes}.")
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    unknown = [each for each in model.operations if not _is_known(each)]
    if unknown:
        named = ", ".join(f"{each.name} ({type(each).__name__})" for each in unknown)
        raise ValueError(
            f"`model` must be made of layers that can be inflated, got {model.name!r} with {named}."
        )
    for layer in model.layers:
        if not _has_channels_last(layer):
            raise ValueError(
                f"`model` must have channels last, got {model.name!r} with {layer.name}."
            )
    return model


def _is_known(operation):
    if isinstance(operation, layers.Layer):
        others = (layers.InputLayer, layers.SpatialDropout2D)
        return type(operation) in (*CONVOLUTIONS, *PLACEWISE, *OF_PICTURES, *others)
    if type(operation).__name__ == "GetItem":  # of channels
        key = operation._inbound_nodes[0].arguments.args[1]
        return isinstance(key, tuple) and key[0] is Ellipsis and len(key) == 2
    if type(operation).__name__ == "Stack":
        return operation.axis == -1
    return type(operation).__name__ in FUNCTIONS


def _has_channels_last(layer):
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    axis = getattr(layer, "axis", -1) if type(layer) in PLACEWISE else -1
    (axis,) = axis if isinstance(axis, list | tuple) else (axis,)
    return axis in (-1, len(keras.tree.flatten(layer.output)[0].shape) - 1)


def _check_strides(strides):
    each = strides if isinstance(strides, list | tuple) else (strides,)
    if not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in each):
        raise ValueError(
            "`temporal_strides` must be a positive integer or one for each halving of space, got "
            f"{strides!r}."
        )


def _temporal_stride(layer, temporal_strides, height):
    """That of the halving of space which the layer does, or 1."""
    if np.max(getattr(layer, "strides", 1)) == 1:
        return 1
    if isinstance(temporal_strides, int):
        return temporal_strides
    own = layer._inbound_nodes[0].input_tensors[0].shape[1]
    if None in (own, height):
        raise ValueError(
            "`model` must have images of a fixed size where `temporal_strides` are one for each "
            f"halving, got {layer.name} on a height of {own}."
        )
    # The nearest power: a padding before the convolution makes 225 of 224.
    halving = max(0, round(math.log2(height / own)))
    return temporal_strides[halving] if halving < len(temporal_strides) else 1


def _frames_seen(layer, temporal_kernel):
    if callable(temporal_kernel):
        seen = temporal_kernel(layer)
    else:
        seen = temporal_kernel if max(layer.kernel_size) > 1 else 1
    if not isinstance(seen, int) or seen < 1 or seen % 2 == 0:
        raise ValueError(
            f"`temporal_kernel` must be odd and positive, got {seen!r} for {layer.name}."
        )
    return seen


def _inflated_convolution(layer, seen, stride):
    config = layer.get_config()
    config.pop("data_format", None)
    if isinstance(layer, layers.DepthwiseConv2D):
        channels = layer.kernel.shape[2]
        config |= {"groups": channels, "filters": channels * config.pop("depth_multiplier")}
        for part in ("initializer", "regularizer", "constraint"):
            config[f"kernel_{part}"] = config.pop(f"depthwise_{part}")
    padding = config["padding"]
    if padding != "same":
        padding = (seen // 2, *((0, 0) if padding == "valid" else padding))
    config |= {
        "kernel_size": (seen, *layer.kernel_size),
        "strides": (stride, *layer.strides),
        "dilation_rate": (1, *layer.dilation_rate),
        "padding": padding,
    }
    return InflatedConv3D.from_config(config)


def _copied(layer):
    config = layer.get_config()
    if type(layer) in PLACEWISE and "axis" in config:
        config["axis"] = -1  # channels, of one axis more
    return type(layer).from_config(config)


def _take_weights(new, layer):
    values = layer.get_weights()
    if isinstance(new, InflatedConv3D):
        seen, *shape = new.kernel.shape
        values[0] = np.repeat(values[0].reshape(1, *shape) / seen, seen, axis=0)
    new.set_weights(values)
    if isinstance(new, layers.Normalization):
        new.finalize_state()
