"""Image networks on clips: one frame, all frames stacked, or frames apart and then fused."""

import keras
from keras import layers, ops

from kerakit.models.classification.resnet import resnet_features
from kerakit.models.family import check_classifier
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

FUSIONS = ("average", "concatenation", "recurrent")


def single_frame(
    *,
    input_shape=(16, 112, 112, 3),
    num_classes=400,
    normalization="kinetics",
    depth=18,
    stem="imagenet",
    width=1.0,
    name="single_frame",
):
    """The middle frame of a clip, through a ResNet: what can be told without motion.

    The baseline that every video model has to beat.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        depth: Of the ResNet: 18, 34, 50, 101 or 152.
        stem: `"imagenet"`, or `"small"` for frames of 8 to 64 pixels, as in `resnet18`.
        width: Factor on the filters (64, 128, 256, 512).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Karpathy et al., Large-scale Video Classification with Convolutional Neural Networks,
        2014, Section 3.1 (single frame). Deviations: a ResNet in place of their network.

    Example:

    >>> model = single_frame(input_shape=(5, 32, 32, 3), num_classes=4, width=0.125)
    >>> model.output_shape
    (None, 4)
    """
    check_classifier(num_classes, width=width)
    clips, x = _clips(input_shape, normalization)
    x = x[:, x.shape[1] // 2]
    x = resnet_features(x, depth, stem=stem, width=width)
    return _classifier(clips, x, num_classes, name)


def early_fusion(
    *,
    input_shape=(16, 112, 112, 3),
    num_classes=400,
    normalization="kinetics",
    depth=18,
    stem="imagenet",
    width=1.0,
    name="early_fusion",
):
    """All frames stacked along channels, (H, W, T C), through a ResNet.

    Only the first convolution sees time, and all of it at once.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        depth: Of the ResNet: 18, 34, 50, 101 or 152.
        stem: `"imagenet"`, or `"small"` for frames of 8 to 64 pixels, as in `resnet18`.
        width: Factor on the filters (64, 128, 256, 512).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Karpathy et al., Large-scale Video Classification with Convolutional Neural Networks,
        2014, Section 3.1 (early fusion). Deviations: a ResNet in place of their network.

    Example:

    >>> model = early_fusion(input_shape=(5, 32, 32, 3), num_classes=4, width=0.125)
    >>> model.get_layer("conv1").kernel.shape[2]
    15
    """
    check_classifier(num_classes, width=width)
    clips, x = _clips(input_shape, normalization)
    frames, height, width_, channels = x.shape[1:]
    x = ops.transpose(x, (0, 2, 3, 1, 4))
    x = layers.Reshape((height, width_, frames * channels), name="stacked")(x)
    x = resnet_features(x, depth, stem=stem, width=width)
    return _classifier(clips, x, num_classes, name)


def late_fusion(
    *,
    input_shape=(16, 112, 112, 3),
    num_classes=400,
    normalization="kinetics",
    fusion="average",
    depth=18,
    stem="imagenet",
    width=1.0,
    name="late_fusion",
):
    """Each frame by itself through one ResNet, the frames' features then fused.

    "average" gives the same answer for any order of the frames, and so knows nothing of the
    direction of time; "concatenation" and "recurrent" (an LSTM whose last state is read) do, but
    see motion only as far as features of single frames tell where things are.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        fusion: "average", "concatenation" or "recurrent".
        depth: Of the ResNet: 18, 34, 50, 101 or 152.
        stem: `"imagenet"`, or `"small"` for frames of 8 to 64 pixels, as in `resnet18`.
        width: Factor on the filters (64, 128, 256, 512).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Karpathy et al., Large-scale Video Classification with Convolutional Neural Networks,
        2014, Section 3.1 (late fusion, of two frames there); Wang et al., Temporal Segment
        Networks, 2016, Eq. 1 (average); Donahue et al., Long-term Recurrent Convolutional
        Networks, 2015, Section 3 (recurrent). Deviations: a ResNet in place of their networks.

    Example:

    >>> model = late_fusion(
    ...     input_shape=(5, 32, 32, 3), num_classes=4, width=0.125, fusion="concatenation"
    ... )
    >>> model.get_layer("fc").kernel.shape[0] == 5 * 64
    True
    """
    check_classifier(num_classes, width=width)
    if fusion not in FUSIONS:
        raise ValueError(f"`fusion` must be one of {FUSIONS}, got {fusion!r}.")
    clips, x = _clips(input_shape, normalization)
    frames = x.shape[1]
    x = ops.reshape(x, (-1, *x.shape[2:]))
    x = resnet_features(x, depth, stem=stem, width=width)
    x = ops.reshape(x, (-1, frames, x.shape[-1]))
    if fusion == "average":
        x = layers.GlobalAveragePooling1D(name="fusion")(x)
    elif fusion == "concatenation":
        x = layers.Flatten(name="fusion")(x)
    else:
        x = layers.LSTM(x.shape[-1], name="fusion")(x)
    return _classifier(clips, x, num_classes, name)


def _clips(input_shape, normalization):
    """The input, and it normalised."""
    if len(input_shape) != 4 or None in input_shape:
        raise ValueError(
            f"`input_shape` must be (T, H, W, C), all of them known, got {tuple(input_shape)}."
        )
    clips = keras.Input(input_shape, name="clips")
    return clips, normalize(clips, normalization)


def _classifier(clips, features, num_classes, name):
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="fc")(features)
    return keras.Model(clips, logits, name=name)
