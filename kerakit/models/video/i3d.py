"""I3D: a residual network of images, inflated to clips."""

import keras
from keras import layers

from kerakit.layers import MeanOfWindows
from kerakit.models.family import check_classifier, check_clips, scaled
from kerakit.models.normalization import normalize
from kerakit.models.video.video_bottleneck import (
    BLOCKS,
    FILTERS,
    MAP,
    STRIDES,
    check_depth,
    video_head,
    video_stage,
    video_stem,
)

STEM_FRAMES = 5
# Of 8 frames, behind the pooling of two.
LAST_FRAMES = 4
# Frames that the first convolutions of a stage's blocks see, in turn: every second one looks
# along time (Wang et al., Non-local Neural Networks, 2018, Section 4, and pytorchvideo).
TEMPORAL_KERNELS = ((3,), (3, 1), (3, 1), (1, 3))


def i3d(
    *,
    input_shape=(8, 224, 224, 3),
    num_classes=400,
    normalization="kinetics",
    temporal_stride=2,
    depth=50,
    drop_rate=0.5,
    width=1.0,
    name="i3d",
):
    """I3D on a residual network of 50 layers, pytorchvideo's `i3d_r50`; 28,043,472 parameters.

    ResNet-50 with 5 x 7 x 7 kernels in its first convolution and 3 x 1 x 1 ones in every second
    block. To start from a trained classifier of images instead, see `inflate`.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255; T, H and W may be None.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`;
            pytorchvideo's checkpoints were trained with `"pytorchvideo"`.
        temporal_stride: Frames that become one, their largest value, behind the first stage; at
            most T.
        depth: Layers: 18 (a block a stage), 50, 101 or 152.
        drop_rate: Share of features dropped in training before the last layer, [0, 1).
        width: Factor on every stage's filters (64, 128, 256, 512).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits, under pytorchvideo's names.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Carreira and Zisserman, Quo Vadis, Action Recognition? A New Model and the Kinetics
        Dataset, 2017, Section 2.4; Wang, Girshick, Gupta and He, Non-local Neural Networks,
        2018, Table 1 and Section 4 (on a ResNet). Deviations: pytorchvideo's, max pooling of
        time alone behind the first stage, and where it stands in each stage that blocks look
        along time.

    Example:

    >>> model = i3d(input_shape=(4, 32, 32, 3), num_classes=6, depth=18, width=0.125)
    >>> model.output_shape, model.get_layer("blocks_0_conv").kernel.shape[0]
    ((None, 6), 5)
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    check_clips(input_shape)
    check_depth(depth)
    frames = input_shape[0]
    if not isinstance(temporal_stride, int) or not 1 <= temporal_stride <= (frames or 2**31):
        raise ValueError(
            f"`temporal_stride` must be a positive integer of at most {frames} frames, got "
            f"{temporal_stride!r}."
        )
    clips = keras.Input(input_shape, name="clips")
    x = normalize(clips, normalization)
    x = video_stem(x, scaled(FILTERS[0], width), temporal_kernel=STEM_FRAMES, name="blocks_0")
    for stage, filters in enumerate(FILTERS):
        x = video_stage(
            x,
            scaled(filters, width),
            blocks=BLOCKS[depth][stage],
            temporal_kernels=TEMPORAL_KERNELS[stage],
            stride=STRIDES[stage],
            # The pooling of time is a block of its own.
            name=f"blocks_{stage + 1 + (stage > 0)}",
        )
        if stage == 0 and temporal_stride > 1:
            x = _largest_in_time(x, temporal_stride, "blocks_2")
    x = MeanOfWindows((LAST_FRAMES, MAP, MAP), name="blocks_6_pool")(x)
    logits = video_head(x, num_classes, drop_rate=drop_rate, name="blocks_6")
    return keras.Model(clips, logits, name=name)


def _largest_in_time(x, stride, name):
    """Max pooling over `stride` frames: TensorFlow's of clips takes no float64."""
    frames = [x[:, first : first - stride + 1 or None : stride] for first in range(stride)]
    return layers.Maximum(name=name)(frames)
