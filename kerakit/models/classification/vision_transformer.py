"""Vision transformers: an image as a sequence of patches."""

import keras
from keras import layers

from kerakit.layers import ClassToken, PatchEmbedding, PositionEmbedding, TransformerBlock
from kerakit.models.family import check_classifier, member
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

# Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, Table 1; tiny and small: Touvron et
# al., Training data-efficient image transformers, 2021, Table 1.
# Size -> blocks, width of the tokens, heads.
SIZES = {"ti": (12, 192, 3), "s": (12, 384, 6), "b": (12, 768, 12), "l": (24, 1024, 16)}
EPSILON = 1e-6


def _builder(size, patch, parameters):
    def vit(
        *,
        input_shape=(224, 224, 3),
        num_classes=1000,
        normalization="imagenet",
        patch_size=patch,
        pooling="token",
        depth=None,
        width=1.0,
        drop_rate=0.0,
        attention_drop_rate=0.0,
        drop_path_rate=0.0,
        name=None,
    ):
        """One size of the vision transformer.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; `patch_size` divides H and W.
            num_classes: K, size of the output.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            patch_size: Side of a patch in pixels, or (height, width).
            pooling: What the head reads: "token" for a class token, which goes through the
                blocks with the patches, or "mean" for the patches' mean, without such a token.
            depth: Number of blocks; None for the size's own.
            width: Factor on the number of heads, which have 64 features each.
            drop_rate: Share of features dropped in training, [0, 1).
            attention_drop_rate: Share of the attention weights dropped in training, [0, 1).
            drop_path_rate: Probability that the last block's branches are left out for an
                example in training, [0, 1); it rises evenly from 0 at the first block.
            name: Name of the model.

        Returns:
            `keras.Model` from (B, H, W, C) pixels to (B, K) logits.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
            Recognition at Scale, 2021, Eq. 1 to 4. Deviations: as in torchvision, the head is
            one linear layer.
        """
        return encoder_classifier(
            size, input_shape, num_classes, normalization, patch_size, pooling, depth, width,
            drop_rate, attention_drop_rate, drop_path_rate, name,
        )  # fmt: skip

    blocks, features, heads = SIZES[size]
    return member(
        vit,
        f"vit_{size}_{patch}",
        f"Vision transformer of {blocks} blocks with {heads} heads on {features} features, patches "
        f"of {patch} x {patch}; {parameters:,} parameters.",
    )


vit_ti_16 = _builder("ti", 16, 5_717_416)
vit_s_16 = _builder("s", 16, 22_050_664)
vit_b_16 = _builder("b", 16, 86_567_656)
vit_b_32 = _builder("b", 32, 88_224_232)
vit_l_16 = _builder("l", 16, 304_326_632)


def encoder_classifier(
    size, input_shape, num_classes, normalization, patch_size, pooling, depth, width,
    drop_rate, attention_drop_rate, drop_path_rate, name, feedforward=None,
):  # fmt: skip
    """A vision transformer of a size in `SIZES`; arguments as its builders'.

    Args:
        feedforward: Function of the block's number, the number of blocks and the width of the
            tokens that returns the layer in place of the block's feed-forward, or None.
    """
    check_classifier(num_classes, width=width, drop_rate=drop_rate)
    if pooling not in ("token", "mean"):
        raise ValueError(f'`pooling` must be "token" or "mean", got {pooling!r}.')
    blocks, features, heads = SIZES[size]
    blocks = blocks if depth is None else depth
    features, heads = 64 * max(1, round(heads * width)), max(1, round(heads * width))

    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = PatchEmbedding(patch_size, features, name="conv_proj")(x)
    if pooling == "token":
        x = ClassToken(name="class_token")(x)
    x = PositionEmbedding(name="encoder_pos_embedding")(x)
    x = layers.Dropout(drop_rate, name="encoder_dropout")(x)
    for block in range(blocks):
        x = TransformerBlock(
            heads,
            norm="pre",
            activation="gelu",
            drop_rate=drop_rate,
            attention_drop_rate=attention_drop_rate,
            drop_path_rate=drop_path_rate * block / max(1, blocks - 1),
            epsilon=EPSILON,
            feedforward=feedforward and feedforward(block, blocks, features),
            name=f"encoder_layers_encoder_layer_{block}",
        )(x)
    x = layers.LayerNormalization(epsilon=EPSILON, name="encoder_ln")(x)
    x = x[:, 0] if pooling == "token" else layers.GlobalAveragePooling1D(name="pool")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="heads_head")(x)
    return keras.Model(images, logits, name=name)
