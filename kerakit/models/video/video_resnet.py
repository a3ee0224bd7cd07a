"""Residual networks of clips: 3D, mixed and (2+1)D convolutions."""

import keras
from keras import layers

from kerakit.layers.conv_2plus1d import factorised_filters
from kerakit.models.conv_bn_relu import conv_bn_relu
from kerakit.models.family import check_classifier, check_clips, member, scaled
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize
from kerakit.ops.convolution_geometry import per_axis

FILTERS = (64, 128, 256, 512)
BLOCKS = 2  # of each stage: 18 layers
FACTORISED_STEM = 45  # filters between space and time
STEMS = ("kinetics", "small")

# Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2018, Table 1
# and Fig. 1: what each of the four stages convolves over.
WHOLE, FRAMES, FACTORISED = "3D", "2D", "(2+1)D"
STAGES = {
    "r3d_18": (WHOLE, WHOLE, WHOLE, WHOLE),
    "mc3_18": (WHOLE, FRAMES, FRAMES, FRAMES),
    "r2plus1d_18": (FACTORISED, FACTORISED, FACTORISED, FACTORISED),
}


def _builder(family, temporal_strides, summary):
    def video_resnet(
        *,
        input_shape=(16, 112, 112, 3),
        num_classes=400,
        normalization="kinetics",
        stem="kinetics",
        temporal_strides=temporal_strides,
        width=1.0,
        name=None,
    ):
        """One family of the residual networks of clips.

        Each of the four stages has two blocks of two convolutions beside an identity. Answers
        are for the whole clip: the last map is averaged over time and space.

        Args:
            input_shape: (T, H, W, C) of the raw pixels, 0..255; T, H and W may be None.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            stem: `"kinetics"`: 7 x 7 over space, of stride 2. `"small"`: 3 x 3 of stride 1, for
                clips of 16 to 64 pixels. Both over 3 frames.
            temporal_strides: Frames from an output to the next in each of the four stages; space
                has stride 2 in all but the first. All 1 keep every frame of a short clip.
            width: Factor on every stage's filters (64, 128, 256, 512).
            name: Name of the model.

        Returns:
            `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits, under torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Tran, Wang, Torresani, Ray, LeCun and Paluri, A Closer Look at Spatiotemporal
            Convolutions for Action Recognition, 2018, Table 1 and Section 3. Deviations:
            torchvision's, the second convolution of a (2+1)D block has as many filters between
            space and time as the first, and the mixed network has no stride in time.
        """
        check_classifier(num_classes, width=width)
        check_clips(input_shape)
        if stem not in STEMS:
            raise ValueError(f"`stem` must be one of {STEMS}, got {stem!r}.")
        strides = per_axis(temporal_strides, len(FILTERS), "temporal_strides")
        stages = STAGES[family]
        filters = [scaled(f, width) for f in FILTERS]

        clips = keras.Input(input_shape, name="clips")
        x = normalize(clips, normalization)
        x = _stem(x, filters[0], stages[0], stem, scaled(FACTORISED_STEM, width))
        for stage, (kind, time) in enumerate(zip(stages, strides, strict=True)):
            for position in range(BLOCKS):
                space = 2 if stage > 0 and position == 0 else 1
                stride = (time if position == 0 else 1, space, space)
                x = _block(x, filters[stage], kind, stride, f"layer{stage + 1}_{position}")
        x = layers.GlobalAveragePooling3D(name="avgpool")(x)
        logits = layers.Dense(num_classes, dtype=logits_dtype(), name="fc")(x)
        return keras.Model(clips, logits, name=name)

    return member(video_resnet, family, summary)


r3d_18 = _builder(
    "r3d_18", (1, 2, 2, 2), "3D residual network of 18 layers; 33,371,472 parameters."
)
mc3_18 = _builder(
    "mc3_18",
    (1, 1, 1, 1),
    "Residual network of 18 layers, 3D and then 2D; 11,695,440 parameters.",
)
r2plus1d_18 = _builder(
    "r2plus1d_18", (1, 2, 2, 2), "(2+1)D residual network of 18 layers; 31,505,325 parameters."
)


def _stem(x, filters, kind, stem, between):
    size, stride = (7, 2) if stem == "kinetics" else (3, 1)
    if kind == FACTORISED:
        x = _conv(x, between, (1, size, size), (1, stride, stride), ("stem_0", "stem_1", "stem_2"))
        return _conv(x, filters, (3, 1, 1), 1, ("stem_3", "stem_4", "stem_5"))
    return _conv(x, filters, (3, size, size), (1, stride, stride), ("stem_0", "stem_1", "stem_2"))


def _block(x, filters, kind, stride, name):
    """Two convolutions beside an identity, or beside its projection where the shapes differ."""
    between = factorised_filters(x.shape[-1], filters)
    y = _convolution(x, filters, kind, stride, between, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_conv1_2")(y)
    y = _convolution(y, filters, kind, (1, 1, 1), between, f"{name}_conv2")
    if max(stride) > 1 or x.shape[-1] != filters:
        names = (f"{name}_downsample_0", f"{name}_downsample_1")
        x = _conv(x, filters, 1, stride, names)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _convolution(x, filters, kind, stride, between, name):
    """A convolution over space, and over time too unless it is of frames, with its norm."""
    names = (f"{name}_0", f"{name}_1")
    if kind != FACTORISED:
        return _conv(x, filters, (1 if kind == FRAMES else 3, 3, 3), stride, names)
    # As layers of the model and not as one `Conv2Plus1D`, so that an export folds its norm.
    time, *space = stride
    inner = (f"{name}_0_0", f"{name}_0_1", f"{name}_0_2")
    x = _conv(x, between, (1, 3, 3), (1, *space), inner)
    return _conv(x, filters, (3, 1, 1), (time, 1, 1), (f"{name}_0_3", f"{name}_1"))


def _conv(x, filters, kernel_size, strides, names):
    """Convolution and norm, and a ReLU where there is a name for it."""
    activation = "relu" if len(names) == 3 else None
    return conv_bn_relu(
        x, filters, kernel_size=kernel_size, strides=strides, activation=activation, names=names
    )
