"""Residual stages of clips: bottlenecks whose first convolution may look along time."""

from keras import layers

from kerakit.layers import EachFrame
from kerakit.layers.padded_max_pooling import PaddedMaxPooling2D
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.logits import logits_dtype

FILTERS = (64, 128, 256, 512)
EXPANSION = 4  # a bottleneck's last convolution has four times the filters
# He et al., Deep Residual Learning for Image Recognition, 2016, Table 1: blocks a stage; and
# pytorchvideo's shortest, one bottleneck a stage.
BLOCKS = {18: (1, 1, 1, 1), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STRIDES = (1, 2, 2, 2)  # over space, of each stage's first block
MAP = 7  # cells that 224 pixels leave


def check_depth(depth):
    """Raises a ValueError unless there is such a depth."""
    if depth not in BLOCKS:
        raise ValueError(f"`depth` must be one of {tuple(BLOCKS)}, got {depth!r}.")


def video_stem(x, filters, *, temporal_kernel, name):
    """A convolution over t x 7 x 7 and 3 x 3 max pooling of each frame, both of stride 2."""
    x = conv_bn_relu(
        x,
        filters,
        kernel_size=(temporal_kernel, 7, 7),
        strides=(1, 2, 2),
        names=(f"{name}_conv", f"{name}_norm", f"{name}_activation"),
    )
    pool = PaddedMaxPooling2D(3, strides=2, padding=1, name="pool")
    return EachFrame(pool, name=f"{name}_pool")(x)


def video_stage(x, filters, *, blocks, temporal_kernels, stride, name):
    """Adds a stage of bottlenecks, under pytorchvideo's names.

    Args:
        x: (B, T, H, W, C) symbolic tensor.
        filters: Of the first two convolutions of a block; the third has four times as many.
        blocks: How many.
        temporal_kernels: Frames that each block's first convolution sees, in turn.
        stride: Over space, of the first block.
        name: Of the stage in a checkpoint, with "_" for ".".

    Returns:
        (B, T, H / stride, W / stride, 4 filters) symbolic tensor.
    """
    for block in range(blocks):
        x = _bottleneck(
            x,
            filters,
            temporal_kernel=temporal_kernels[block % len(temporal_kernels)],
            stride=stride if block == 0 else 1,
            name=f"{name}_res_blocks_{block}",
        )
    return x


def _bottleneck(x, filters, *, temporal_kernel, stride, name):
    """Convolutions over t x 1 x 1, 1 x 3 x 3 and 1 x 1 x 1 beside an identity."""

    def conv(x, filters, kernel_size, letter, strides=1):
        names = [f"{name}_branch2_{part}_{letter}" for part in ("conv", "norm", "act")]
        is_last = letter == "c"
        return conv_bn_relu(
            x,
            filters,
            kernel_size=kernel_size,
            strides=strides,
            activation=None if is_last else "relu",
            names=names[:2] if is_last else names,
        )

    y = conv(x, filters, (temporal_kernel, 1, 1), "a")
    y = conv(y, filters, (1, 3, 3), "b", (1, stride, stride))
    y = conv(y, EXPANSION * filters, 1, "c")
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = conv_bn_relu(
            x,
            y.shape[-1],
            kernel_size=1,
            strides=(1, stride, stride),
            activation=None,
            names=(f"{name}_branch1_conv", f"{name}_branch1_norm"),
        )
    return layers.ReLU(name=f"{name}_activation")(layers.Add(name=f"{name}_add")([x, y]))


def video_head(x, num_classes, *, drop_rate, name):
    """Dropout and one dense layer, on (B, C) features."""
    x = layers.Dropout(drop_rate, name=f"{name}_dropout")(x)
    return layers.Dense(num_classes, dtype=logits_dtype(), name=f"{name}_proj")(x)
