"""The network of YOLO: a backbone of crossing stages, paths up and down, a head a level."""

import math

import keras
from keras import layers

from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

STRIDES = (8, 16, 32)
CHANNELS = (64, 128, 256, 512, 1024)  # at width 1, of the strides 2, 4, 8, 16 and 32
BLOCKS = (3, 6, 9, 6)  # at depth 1, of the strides 4 to 32
NECK_BLOCKS = 3
OUTPUTS = ("class_logits", "edge_logits")
PRIOR = 0.01  # the score of every class at the start


def yolo_network(*, input_shape, num_classes, normalization, depth, width, bins, name):
    """Raw outputs of every cell of three levels.

    Args:
        input_shape: (H, W, C) of the raw pixels, divisible by 32.
        num_classes: K.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        depth: Factor on the number of residual blocks.
        width: Factor on all channels.
        bins: R + 1, the numbers among which the distance to an edge is distributed.
        name: Name of the network.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, A, K) logits of the classes and
        (B, A, 4, R + 1) logits of the distances to the left, upper, right and lower edge, both
        float32; A cells level by level, row by row.
    """

    def channels(level):
        return max(8, 8 * math.ceil(CHANNELS[level] * width / 8))

    def blocks(count):
        return max(1, round(count * depth))

    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = _conv(x, channels(0), 3, "stem", strides=2)
    features = []
    for stage, count in enumerate(BLOCKS, start=1):
        x = _conv(x, channels(stage), 3, f"stage{stage}_down", strides=2)
        x = crossing_stage(x, channels(stage), blocks(count), f"stage{stage}")
        if stage == len(BLOCKS):
            x = pyramid_pooling(x, channels(stage), "pooling")
        features.append(x)
    levels = path_aggregation(features[-len(STRIDES) :], blocks(NECK_BLOCKS), "neck")

    outputs = []
    for stride, x in zip(STRIDES, levels, strict=True):
        hidden = max(levels[0].shape[-1], x.shape[-1] // 2)
        outputs.append(_head(x, hidden, num_classes, bins, f"head{stride}"))
    together = {
        kind: layers.Concatenate(axis=1, dtype=logits_dtype(), name=kind)(parts)
        for kind, parts in zip(OUTPUTS, zip(*outputs, strict=True), strict=True)
    }
    return keras.Model(images, together, name=name)


def crossing_stage(x, filters, blocks, name, *, residual=True):
    """Half of the channels pass residual blocks, the other half passes by (CSPNet, Fig. 3b)."""
    around = _conv(x, filters // 2, 1, f"{name}_around")
    x = _conv(x, filters // 2, 1, f"{name}_through")
    for block in range(blocks):
        y = _conv(x, filters // 2, 1, f"{name}_{block}_reduce")
        y = _conv(y, filters // 2, 3, f"{name}_{block}_filter")
        x = layers.Add(name=f"{name}_{block}_add")([x, y]) if residual else y
    x = layers.Concatenate(name=f"{name}_cross")([x, around])
    return _conv(x, filters, 1, f"{name}_merge")


def pyramid_pooling(x, filters, name):
    """Maxima of windows of 5, 9 and 13 beside the features; two windows of 5 make one of 9."""
    pooled = [_conv(x, filters // 2, 1, f"{name}_reduce")]
    for size in (5, 9, 13):
        window = PaddedMaxPooling2D(5, strides=1, padding=2, name=f"{name}_{size}")
        pooled.append(window(pooled[-1]))
    return _conv(layers.Concatenate(name=f"{name}_levels")(pooled), filters, 1, f"{name}_merge")


def path_aggregation(features, blocks, name):
    """A path from coarse to fine and one back, each level joined by concatenation (PANet)."""
    downward, x = [], features[-1]
    for level in reversed(range(len(features) - 1)):
        finer = features[level]
        label = f"{name}_down{level}"
        x = _conv(x, finer.shape[-1], 1, f"{label}_reduce")
        downward.append(x)
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{label}_up")(x)
        x = layers.Concatenate(name=f"{label}_join")([x, finer])
        x = crossing_stage(x, finer.shape[-1], blocks, label, residual=False)
    levels = [x]
    for level, coarser in enumerate(reversed(downward), start=1):
        label = f"{name}_up{level}"
        x = _conv(x, x.shape[-1], 3, f"{label}_down", strides=2)
        x = layers.Concatenate(name=f"{label}_join")([x, coarser])
        x = crossing_stage(x, features[level].shape[-1], blocks, label, residual=False)
        levels.append(x)
    return levels


def _head(x, filters, num_classes, bins, name):
    """Two branches of two convolutions, for classes and for edges (YOLOX, Fig. 2)."""
    x = _conv(x, filters, 1, f"{name}_reduce")
    classes = edges = x
    for number in (1, 2):
        classes = _conv(classes, filters, 3, f"{name}_class{number}")
        edges = _conv(edges, filters, 3, f"{name}_edge{number}")
    small = keras.initializers.RandomNormal(stddev=0.01)
    rare = keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR))
    outputs = [
        (classes, num_classes, (num_classes,), rare, "class"),
        (edges, 4 * bins, (4, bins), "zeros", "edge"),
    ]
    found = []
    for y, size, shape, bias, kind in outputs:
        layer = layers.Conv2D(
            size, 1, kernel_initializer=small, bias_initializer=bias, name=f"{name}_{kind}"
        )
        y = layer(y)
        cells = y.shape[1] * y.shape[2]
        found.append(layers.Reshape((cells, *shape), name=f"{name}_{kind}_cells")(y))
    return found


def _conv(x, filters, kernel_size, name, *, strides=1):
    return conv_bn_relu(
        x,
        filters,
        kernel_size=kernel_size,
        strides=strides,
        norm=_norm,
        activation="silu",
        names=(f"{name}_conv", f"{name}_bn", f"{name}_silu"),
    )


def _norm(name):
    return BatchNormalization(momentum=0.97, epsilon=1e-3, name=name)
