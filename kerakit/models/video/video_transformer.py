"""Video transformers: a clip as a sequence of tubelets."""

import keras
from keras import layers

from kerakit.layers import (
    DividedSpaceTimeBlock,
    PatchEmbedding,
    PositionEmbedding,
    TransformerBlock,
)
from kerakit.models.family import check_classifier
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

ATTENTIONS = ("joint", "divided")
HEADS, FEATURES_A_HEAD = 12, 64  # ViT-B's
EPSILON = 1e-6


def video_transformer(
    *,
    input_shape=(16, 224, 224, 3),
    num_classes=400,
    normalization="kinetics",
    attention="joint",
    tubelet=(2, 16, 16),
    depth=12,
    width=1.0,
    drop_rate=0.0,
    attention_drop_rate=0.0,
    drop_path_rate=0.0,
    name="video_transformer",
):
    """A transformer over tubelets, patches of a few frames each.

    "joint" attention compares each token with all T S others; "divided" with those of its place
    at all times, and then with those of its frame, see `kerakit.layers.DividedSpaceTimeBlock`.

    Args:
        input_shape: (T, H, W, C) of the raw pixels, 0..255; `tubelet` divides T, H and W.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        attention: "joint" or "divided".
        tubelet: (frames, height, width) of a token in pixels.
        depth: Number of blocks.
        width: Factor on the 12 heads, which have 64 features each.
        drop_rate: Share of features dropped in training, [0, 1).
        attention_drop_rate: Share of the attention weights dropped in training, [0, 1).
        drop_path_rate: Probability that the last block's branches are left out for an example in
            training, [0, 1); it rises evenly from 0 at the first block.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, T, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Arnab et al., ViViT: A Video Vision Transformer, 2021, Sections 3.2 (tubelets) and 3.3,
        Model 1 (joint). Bertasius, Wang and Torresani, Is Space-Time Attention All You Need for
        Video Understanding?, 2021, Section 3 (divided). Deviations: the head reads the tokens'
        mean, and there is no class token.

    Example:

    >>> model = video_transformer(
    ...     input_shape=(4, 16, 16, 3), num_classes=3, tubelet=(2, 8, 8), depth=1, width=1 / 12
    ... )
    >>> model.get_layer("tubelets").output.shape
    (None, 8, 64)
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    if attention not in ATTENTIONS:
        raise ValueError(f"`attention` must be one of {ATTENTIONS}, got {attention!r}.")
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"`depth` must be a positive integer, got {depth!r}.")
    heads = max(1, round(HEADS * width))

    clips = keras.Input(input_shape, name="clips")
    x = normalize(clips, normalization)
    x = PatchEmbedding(tubelet, FEATURES_A_HEAD * heads, name="tubelets")(x)
    x = PositionEmbedding(name="positions")(x)
    x = layers.Dropout(drop_rate, name="dropout")(x)
    for block in range(depth):
        options = {
            "activation": "gelu",
            "drop_rate": drop_rate,
            "attention_drop_rate": attention_drop_rate,
            "drop_path_rate": drop_path_rate * block / max(1, depth - 1),
            "epsilon": EPSILON,
            "name": f"blocks_{block}",
        }
        if attention == "joint":
            x = TransformerBlock(heads, norm="pre", **options)(x)
        else:
            frames = input_shape[0] // tubelet[0]
            x = DividedSpaceTimeBlock(heads, frames=frames, **options)(x)
    x = layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="head")(x)
    return keras.Model(clips, logits, name=name)
