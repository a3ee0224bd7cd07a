"""SlowFast: a wide path over few frames, and a narrow one over many that feeds it."""

import keras
from keras import layers

from kerakit.layers import MeanOfWindows, SlowFrames
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, check_clips, member, scaled
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

# Slow frames x their distance in a video -> alpha, fast frames for each of them; frames that a
# lateral convolution sees. (Feichtenhofer et al., SlowFast Networks for Video Recognition, 2019,
# Table 1 and its code's configurations.)
VARIANTS = {"4x16": (8, 5), "8x8": (4, 7)}
CLIP = 32  # fast frames
# Frames that the first convolutions of each stage's blocks see.
SLOW_KERNELS, FAST_KERNELS = (1, 1, 3, 3), (3, 3, 3, 3)
SLOW_STEM, FAST_STEM = 1, 5
LATERAL = 2  # channels that go over, for each one of the fast path


def slowfast(
    *,
    input_shape=(32, 224, 224, 3),
    num_classes=400,
    normalization="kinetics",
    variant="8x8",
    depth=50,
    beta=1 / 8,
    drop_rate=0.5,
    width=1.0,
    name="slowfast",
):
    """SlowFast of any depth and width, on one clip that both paths see.

    The fast path takes every frame and has few channels; the slow one takes every alpha-th
    frame. Behind the stem and each stage but the last, a convolution of stride alpha in time
    brings what the fast path has found to the slow one.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255; T, a multiple of alpha, H and W may
            be None. The slow path takes T / alpha frames from the first to the last, see
            `kerakit.layers.SlowFrames`.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`;
            pytorchvideo's checkpoints were trained with `"pytorchvideo"`.
        variant: `"8x8"`: alpha 4 and lateral convolutions over 7 frames. `"4x16"`: 8 and 5.
        depth: Layers of each path: 18 (a block a stage), 50, 101 or 152.
        beta: Channels of the fast path, as a share of the slow one's, (0, 1].
        drop_rate: Share of features dropped in training before the last layer, [0, 1).
        width: Factor on the filters of every stage (64, 128, 256, 512), of both paths.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits, under pytorchvideo's names.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Feichtenhofer, Fan, Malik and He, SlowFast Networks for Video Recognition, 2019,
        Section 3 and Table 1. Deviations: pytorchvideo's, in which of the clip's frames the
        slow path takes, and in the windows that the last map is averaged by.

    Example:

    >>> model = slowfast(input_shape=(8, 32, 32, 3), num_classes=6, depth=18, width=0.25)
    >>> model.output_shape, model.get_layer("slow_frames").output.shape[1]
    ((None, 6), 2)
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    check_clips(input_shape)
    check_depth(depth)
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {tuple(VARIANTS)}, got {variant!r}.")
    if not 0 < beta <= 1:
        raise ValueError(f"`beta` must be in (0, 1], got {beta}.")
    alpha, lateral_kernel = VARIANTS[variant]
    if input_shape[0] is not None and (input_shape[0] < 1 or input_shape[0] % alpha):
        raise ValueError(
            f"`input_shape` must have a multiple of {alpha} frames, got {tuple(input_shape)}."
        )
    clips = keras.Input(input_shape, name="clips")
    fast = normalize(clips, normalization)
    slow = SlowFrames(alpha, name="slow_frames")(fast)

    filters = scaled(FILTERS[0], width)
    paths = _paths(0)
    slow = video_stem(slow, filters, temporal_kernel=SLOW_STEM, name=paths[0])
    fast = video_stem(fast, scaled(filters, beta), temporal_kernel=FAST_STEM, name=paths[1])
    slow = _fused(slow, fast, alpha, lateral_kernel, 0)
    for stage in range(len(FILTERS)):
        filters, paths = scaled(FILTERS[stage], width), _paths(stage + 1)
        options = {"blocks": BLOCKS[depth][stage], "stride": STRIDES[stage]}
        kernels = (SLOW_KERNELS[stage],)
        slow = video_stage(slow, filters, temporal_kernels=kernels, name=paths[0], **options)
        kernels, filters = (FAST_KERNELS[stage],), scaled(filters, beta)
        fast = video_stage(fast, filters, temporal_kernels=kernels, name=paths[1], **options)
        if stage + 1 < len(FILTERS):
            slow = _fused(slow, fast, alpha, lateral_kernel, stage + 1)

    slow = MeanOfWindows((CLIP // alpha, MAP, MAP), name="blocks_5_pool_0")(slow)
    fast = MeanOfWindows((CLIP, MAP, MAP), name="blocks_5_pool_1")(fast)
    x = layers.Concatenate(name="blocks_5")([slow, fast])
    logits = video_head(x, num_classes, drop_rate=drop_rate, name="blocks_6")
    return keras.Model(clips, logits, name=name)


def _paths(block):
    return [f"blocks_{block}_multipathway_blocks_{path}" for path in (0, 1)]


def _fused(slow, fast, alpha, kernel, block):
    """The slow path with what the fast one brings it, behind its own channels."""
    name = f"blocks_{block}_multipathway_fusion"
    brought = conv_bn_relu(
        fast,
        LATERAL * fast.shape[-1],
        kernel_size=(kernel, 1, 1),
        strides=(alpha, 1, 1),
        names=(f"{name}_conv_fast_to_slow", f"{name}_norm", f"{name}_activation"),
    )
    return layers.Concatenate(name=f"{name}_concatenation")([slow, brought])


def _builder(variant, summary):
    def slowfast_r50(
        *,
        input_shape=(CLIP, 224, 224, 3),
        num_classes=400,
        normalization="kinetics",
        drop_rate=0.5,
        width=1.0,
        name=None,
    ):
        """One published size.

        Args:
            input_shape: (T, H, W, C) of the raw pixels, 0..255, as in `slowfast`.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            drop_rate: Share of features dropped in training before the last layer, [0, 1).
            width: Factor on the filters of every stage, of both paths.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits, as `slowfast`.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Feichtenhofer, Fan, Malik and He, SlowFast Networks for Video Recognition, 2019,
            Table 1. Deviations: see `slowfast`.
        """
        return slowfast(
            input_shape=input_shape,
            num_classes=num_classes,
            normalization=normalization,
            variant=variant,
            drop_rate=drop_rate,
            width=width,
            name=name,
        )

    return member(slowfast_r50, f"slowfast_r50_{variant}", summary)


slowfast_r50_4x16 = _builder(
    "4x16", "SlowFast of 50 layers, 4 of 32 frames slow; 34,480,216 parameters."
)
slowfast_r50_8x8 = _builder(
    "8x8", "SlowFast of 50 layers, 8 of 32 frames slow; 34,566,488 parameters."
)
