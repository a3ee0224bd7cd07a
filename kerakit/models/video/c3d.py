"""C3D: VGG in 3D."""

import math

import keras
from keras import layers

from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, scaled
from kerakit.models.flatten import flatten_channels_first
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize
from kerakit.ops.convolution_geometry import per_axis

# Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, 2015, Fig. 3:
# filters of the convolutions before each max pooling, all 3 x 3 x 3.
BLOCKS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
HIDDEN = 4096
LEAST = 16  # pixels, of which the four poolings before the last leave one


def c3d(
    *,
    input_shape=(16, 112, 112, 3),
    num_classes=101,
    normalization="kinetics",
    temporal_strides=None,
    batch_norm=False,
    drop_rate=0.5,
    width=1.0,
    name="c3d",
):
    """C3D: eight 3 x 3 x 3 convolutions, five poolings, two hidden layers; 78,409,573 parameters.

    The first pooling keeps all frames. The fifth has a border of one pixel, so that 7 x 7 places
    become 4 x 4 and the first hidden layer sees 8,192 features. It sees all places apart: other
    sizes of clips give it another number of weights, and none may be unknown.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255; T at least the product of
            `temporal_strides`, H and W at least 16.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        temporal_strides: Frames that each of the five poolings makes one of; None: 1, and then
            2 as long as there are two left, so (1, 2, 2, 2, 2) from 16 frames on.
        batch_norm: Whether a norm follows each convolution. The paper's network has none and
            learns slowly from nothing.
        drop_rate: Share of features dropped in training after each hidden layer, [0, 1).
        width: Factor on the filters and on the 4,096 hidden units.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range or a clip is too small.

    Reference:
        Tran, Bourdev, Fergus, Torresani and Paluri, Learning Spatiotemporal Features with 3D
        Convolutional Networks, 2015, Section 3.3 and Fig. 3. Deviations: normalised by figures of
        Kinetics, where the paper takes the mean clip away; the border of the fifth pooling lies
        on both sides, as in the ports to PyTorch, where Caffe's lies after; He's initial weights.

    Example:

    >>> model = c3d(input_shape=(16, 32, 32, 3), num_classes=5, width=0.0625)
    >>> model.output_shape, model.get_layer("fc6").kernel.shape[0]  # 32 x 1 x 2 x 2 features
    ((None, 5), 128)
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    if temporal_strides is None:
        _check_input(input_shape, 1)
        temporal_strides = _halvings(input_shape[0])
    strides = per_axis(temporal_strides, len(BLOCKS), "temporal_strides")
    _check_input(input_shape, math.prod(strides))
    clips = keras.Input(input_shape, name="clips")
    x = normalize(clips, normalization)
    for number, (block, time) in enumerate(zip(BLOCKS, strides, strict=True), start=1):
        for letter, filters in zip("ab", block, strict=False):
            x = _conv(x, scaled(filters, width), batch_norm, f"{number}{letter}")
        if number == len(BLOCKS):
            # Behind a ReLU nothing is below zero, so that a border of zeros never wins.
            x = layers.ZeroPadding3D((0, 1, 1), name=f"pool{number}_border")(x)
        x = layers.MaxPooling3D((time, 2, 2), dtype=_pooled_in(), name=f"pool{number}")(x)
    x = flatten_channels_first(x)
    for number in (6, 7):
        x = layers.Dense(
            scaled(HIDDEN, width), "relu", kernel_initializer="he_normal", name=f"fc{number}"
        )(x)
        x = layers.Dropout(drop_rate, name=f"dropout{number}")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="fc8")(x)
    return keras.Model(clips, logits, name=name)


def _halvings(frames):
    """Strides of the poolings: the first keeps all frames, the others halve what is left."""
    possible = min(len(BLOCKS) - 1, frames.bit_length() - 1)
    return (1, *[2] * possible, *[1] * (len(BLOCKS) - 1 - possible))


def _pooled_in():
    # TensorFlow has no 3D max pooling of float16 on CPU; the maxima are the same in float32.
    is_half = keras.config.dtype_policy().compute_dtype == "float16"
    return "float32" if is_half else None


def _check_input(input_shape, frames):
    least = (frames, LEAST, LEAST, 1)
    sizes = tuple(input_shape)
    if len(sizes) != 4 or any(n is None or n < m for n, m in zip(sizes, least, strict=True)):
        raise ValueError(
            f"`input_shape` must be (T, H, W, C) with T at least {frames} and H and W at least "
            f"{LEAST}, got {sizes}."
        )


def _conv(x, filters, batch_norm, position):
    norms = (f"bn{position}",) if batch_norm else ()
    return conv_bn_relu(
        x,
        filters,
        kernel_size=3,
        norm=BatchNormalization if batch_norm else None,
        use_bias=True,
        names=(f"conv{position}", *norms, f"relu{position}"),
    )
