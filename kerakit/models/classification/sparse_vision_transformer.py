"""A vision transformer with mixtures of experts for some of its feed-forwards."""

from kerakit.layers import MixtureOfExperts
from kerakit.layers.arguments import check_whole
from kerakit.models.classification.vision_transformer import encoder_classifier


def vit_moe(
    *,
    input_shape=(224, 224, 3),
    num_classes=1000,
    normalization="imagenet",
    patch_size=16,
    pooling="token",
    num_experts=8,
    num_active=2,
    every=2,
    last=None,
    capacity_factor=1.25,
    loss_weight=0.01,
    depth=None,
    width=1.0,
    drop_rate=0.0,
    attention_drop_rate=0.0,
    drop_path_rate=0.0,
    name="vit_moe",
):
    """`vit_s_16` whose every second feed-forward is a mixture of experts; 71,694,952 parameters.

    A patch visits the 2 of 8 experts that the block's router gives it, so that 3.3 times the
    parameters cost 1.5 times the multiply-accumulates. In training the balancing losses of the
    mixtures stand in `model.losses`, and `fit` adds them; `kerakit.callbacks.LayerFigures` logs
    how even the choices are and how many found no place.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255; `patch_size` divides H and W.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        patch_size: Side of a patch in pixels, or (height, width).
        pooling: What the head reads, "token" or "mean", as in `vit_s_16`.
        num_experts: E of each mixture.
        num_active: Experts that a token visits, at most E.
        every: Distance of the blocks that have one: 2 for the second, the fourth and so on.
        last: Keep only the last so many of these mixtures; None for all.
        capacity_factor: Places an expert has, over those it needs if all are chosen alike.
        loss_weight: Weight of each mixture's balancing loss.
        depth: Number of blocks; None for 12.
        width: Factor on the 6 heads, which have 64 features each.
        drop_rate: Share of features dropped in training, in the experts too, [0, 1).
        attention_drop_rate: Share of the attention weights dropped in training, [0, 1).
        drop_path_rate: Probability that the last block's branches are left out for an example
            in training, [0, 1); it rises evenly from 0 at the first block.
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range, or no block has a mixture.

    Reference:
        Riquelme et al., Scaling Vision with Sparse Mixture of Experts, 2021, Section 2: its
        placements "every 2" and, with `last`, "last n". Deviations: those of
        `kerakit.layers.MixtureOfExperts`, which are Switch Transformers' one loss for theirs of
        importance and load, no noise on the router, and gates that sum to 1; capacity an
        example, and so no batch prioritised routing; 8 experts for their 32.
    """
    check_whole(every=every)
    if last is not None:
        check_whole(last=last)

    def feedforward(block, blocks, features):
        mixtures = range(every - 1, blocks, every)
        if not mixtures:
            raise ValueError(
                f"`every` must be in [1, {blocks}], the number of blocks, got {every}."
            )
        if block not in mixtures[-(last or len(mixtures)) :]:
            return None
        return MixtureOfExperts(
            num_experts,
            num_active,
            hidden_dim=4 * features,
            activation="gelu",
            capacity_factor=capacity_factor,
            loss_weight=loss_weight,
            drop_rate=drop_rate,
            name="moe",
        )

    return encoder_classifier(
        "s", input_shape, num_classes, normalization, patch_size, pooling, depth, width,
        drop_rate, attention_drop_rate, drop_path_rate, name, feedforward,
    )  # fmt: skip
