"""A patch classifier as a convolution over whole images, with the same scores."""

import keras
import numpy as np
from keras import layers

from kerakit.layers import (
    BatchNormalization,
    DropPath,
    FrozenBatchNormalization,
    PaddedConv2D,
    PaddedDepthwiseConv2D,
    PaddedMaxPooling2D,
)
from kerakit.models.segmentation.sliding_window import check_patch_classifier

# Each output of these is of one window of the input, the same everywhere.
_WINDOWED = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    PaddedConv2D,
    PaddedDepthwiseConv2D,
    PaddedMaxPooling2D,
)
# Of one place and all its channels.
_OF_A_PLACE = (
    layers.BatchNormalization,
    BatchNormalization,
    FrozenBatchNormalization,
    layers.Softmax,
    layers.Concatenate,
)
# Of one number.
_OF_A_NUMBER = (
    layers.Activation,
    layers.Dropout,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Rescaling,
    layers.Identity,
    layers.Add,
    DropPath,
)


def as_convolution(classifier, *, input_shape=None, name="as_convolution"):
    """A patch classifier as a network for whole images: the same scores, each layer run once.

    A dense layer behind an h x w map is a convolution with kernels of h x w, and a dense layer
    behind that is one of 1 x 1. So the classifier's scores of all windows, S pixels apart where
    S is the product of its strides, come from one pass over the image: for 32 x 32 patches, S = 4
    and a 256 x 256 image the 3,249 windows of `sliding_window` overlap 64 times.

    Only layers that see no zeros around the patch are converted exactly, since inside the image
    its pixels stand where the zeros were. One with padding is refused.

    Args:
        classifier: Functional or sequential `keras.Model` from (B, h, w, C) patches to (B, K)
            scores: convolutions and poolings without padding, batch normalisation, activations,
            dropout, sums and concatenations, flattening (or `flatten_channels_first`) or global
            pooling, dense layers. Its weights are copied.
        input_shape: (H, W, C) of the images; None: (None, None, C), of any size.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, H', W', K) scores: those of
        `sliding_window(classifier, strides=S)`, and where the classifier's first layers leave
        the last rows of a patch unread, perhaps a row of windows more whose unread rows would
        lie outside of the image. The layers keep their names.

    Raises:
        ValueError: If a layer cannot be converted; its name is told, and why.

    Reference:
        Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation,
        2015, Section 3.1. Deviations: none.
    """
    patch = check_patch_classifier(classifier)
    graph = keras.Model(classifier.inputs[0], classifier.outputs[0])
    for operation in graph.operations:
        if not isinstance(operation, layers.Layer):
            raise _refusal(operation, "is a function between the layers, not a layer")
    if _flattened(graph.outputs[0]):
        raise ValueError("`classifier` must end in one score a class, got a flattened map.")

    pairs = []

    def counterpart(layer):
        pairs.append((layer, _counterpart(layer)))
        return pairs[-1][1]

    images = keras.Input(input_shape or (None, None, patch[-1]), name="images")
    copy = keras.models.clone_model(graph, input_tensors=images, clone_function=counterpart)
    for layer, new in pairs:
        weights = layer.get_weights()
        if isinstance(layer, layers.Dense):
            weights[0] = dense_as_kernel(weights[0], **map_before(layer))
        new.set_weights(weights)
    return keras.Model(images, copy.outputs[0], name=name)


def dense_as_kernel(matrix, *, size, channels_first=False):
    """The kernel of the convolution that a dense layer behind a flattened map is.

    Args:
        matrix: (h w C, K) weights of the dense layer.
        size: (h, w) of the map.
        channels_first: Whether all places of a channel lie together, as PyTorch and
            `flatten_channels_first` have them, or, as Keras's `Flatten`, all channels of a place.

    Returns:
        (h, w, C, K) array.
    """
    matrix = np.asarray(matrix)
    if channels_first:
        return matrix.reshape(-1, *size, matrix.shape[-1]).transpose(1, 2, 0, 3)
    return matrix.reshape(*size, -1, matrix.shape[-1])


def _counterpart(layer):
    """The layer that does on a map of any size what `layer` does on a patch."""
    if len(layer._inbound_nodes) > 1:
        raise _refusal(layer, "is called more than once")
    sources = [tensor._keras_history.operation for tensor in keras.tree.flatten(layer.input)]
    if any(isinstance(s, layers.Permute) for s in sources) and not isinstance(
        layer, layers.Flatten
    ):
        raise _refusal(sources[0], "does not stand before a Flatten")
    is_flattened = any(map(_flattened, keras.tree.flatten(layer.input)))
    config = layer.get_config()
    if isinstance(layer, layers.Dense):
        return _convolution(layer, config)
    if isinstance(layer, layers.Flatten) or (
        isinstance(layer, layers.Permute) and layer.dims == (3, 1, 2)
    ):
        return layers.Activation("linear", name=layer.name, dtype=layer.dtype_policy)
    if isinstance(layer, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
        of_mean = isinstance(layer, layers.GlobalAveragePooling2D)
        pooling = layers.AveragePooling2D if of_mean else layers.MaxPooling2D
        return pooling(layer.input.shape[1:3], 1, name=layer.name, dtype=layer.dtype_policy)
    if type(layer) in _WINDOWED:
        return _unpadded(layer, config)
    is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
    if type(layer) in _OF_A_NUMBER and not is_softmax:
        return type(layer).from_config(config)
    if (type(layer) in _OF_A_PLACE or is_softmax) and not is_flattened:
        _check_axis(layer)
        return type(layer).from_config({**config, **({"axis": -1} if "axis" in config else {})})
    raise _refusal(layer, "looks at more than a window that moves over the image")


def _convolution(layer, config):
    """A dense layer's convolution, with the options that both kinds of layer have."""
    size = map_before(layer)["size"]
    shared = config.keys() & layers.Conv2D(1, 1).get_config().keys()
    options = {key: config[key] for key in shared}
    return layers.Conv2D.from_config({**options, "filters": layer.units, "kernel_size": size})


def _unpadded(layer, config):
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    dilation = dilation if isinstance(dilation, tuple) else (dilation,) * 2
    sizes = zip(layer.input.shape[1:3], kernel, layer.strides, dilation, strict=True)
    fitting = tuple((n - (f - 1) * d - 1) // s + 1 for n, f, s, d in sizes)
    is_padded = isinstance(layer.padding, tuple) and any(layer.padding)
    if is_padded or tuple(layer.output.shape[1:3]) != fitting:
        raise _refusal(layer, "has padding, where a window in an image has pixels around it")
    padding = layer.padding if isinstance(layer.padding, tuple) else "valid"
    return type(layer).from_config({**config, "padding": padding})


def _check_axis(layer):
    axis = getattr(layer, "axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    if axis not in (-1, len(layer.output.shape) - 1):
        raise _refusal(layer, f"works along axis {axis}, not along the channels")


def _flattened(tensor):
    """(map, channels first?) that a tensor is in a row of, of more than one place; else None."""
    layer = tensor._keras_history.operation
    if len(tensor.shape) != 2 or isinstance(layer, layers.Dense):
        return None
    if isinstance(layer, layers.Flatten):
        whole = layer.input
        source = whole._keras_history.operation
        is_permuted = isinstance(source, layers.Permute)
        whole = source.input if is_permuted else whole
        return None if tuple(whole.shape[1:3]) == (1, 1) else (whole, is_permuted)
    if not isinstance(layer, layers.Layer) or isinstance(layer, layers.InputLayer):
        return None
    found = [_flattened(x) for x in keras.tree.flatten(layer.input) if len(x.shape) == 2]
    return next((each for each in found if each), None)


def map_before(layer):
    """Size and order of the flattened map before a dense layer, as `dense_as_kernel` takes them."""
    whole, channels_first = _flattened(layer.input) or (None, False)
    return {
        "size": (1, 1) if whole is None else tuple(whole.shape[1:3]),
        "channels_first": channels_first,
    }


def _refusal(layer, reason):
    return ValueError(
        f"`classifier` must consist of layers that can move over an image, but {layer.name} "
        f"({type(layer).__name__}) {reason}."
    )
