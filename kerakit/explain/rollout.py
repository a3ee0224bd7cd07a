"""Attention through all the layers of a transformer, on the pixels."""

import math

from keras import ops

from kerakit.explain.attention import calls_of_attention, looked_at, token_grid
from kerakit.explain.heat_map import HeatMap
from kerakit.explain.inputs import given
from kerakit.explain.layers_within import layers_within
from kerakit.layers import DividedSpaceTimeBlock


def attention_rollout(model, images, *, residual=0.5, discard=0.0, grid=None):
    """Which patches a vision transformer's answer takes from, through all its layers.

    With A_l the weights of layer l, the mean of its heads:

        R = M_L ... M_2 M_1,   M_l = (1 - residual) A_l + residual I

    The map is the row of R of the class token or, without one, the mean of its rows, on the grid
    of the patches. It says where information could come from, and not for which class: all
    classes have the same map. Of blocks that attend over time and over space in turn, each is a
    factor of its own, over all tokens.

    Args:
        model: Keras transformer whose attention layers all see the same tokens, those of the image
            or clip and, before them, any others (of class, of distillation).
        images: As of `kerakit.explain.grad_cam`.
        residual: Weight of the residual connection, [0, 1).
        discard: Share of each token's weights that are taken for 0, the least ones, [0, 1); the
            others are scaled to sum to 1 again. With 0.9 maps are less even.
        grid: (rows, columns) of the image's tokens, (frames, rows, columns) of a clip's; None to
            find it from the model.

    Returns:
        `HeatMap` with values (B, H, W), or (B, T, H, W) for clips.

    Raises:
        ValueError: If an argument is out of its range, the model has no attention layer, or its
            tokens are not those of one grid.

    Reference:
        Abnar and Zuidema, Quantifying Attention Flow in Transformers, 2020, Section 3 (attention
        rollout; residual 0.5). Deviations: `residual` can be chosen; `discard`.

    Example:

    >>> import numpy as np
    >>> from kerakit.models.classification import vit_ti_16
    >>> model = vit_ti_16(input_shape=(16, 24, 3), patch_size=8, depth=2, width=0.3, num_classes=2)
    >>> attention_rollout(model, np.zeros((1, 16, 24, 3))).values.shape
    (1, 16, 24)
    """
    for name, share in {"residual": residual, "discard": discard}.items():
        if not 0 <= share < 1:
            raise ValueError(f"`{name}` must be in [0, 1), got {share}.")
    inputs, images = given(images)
    calls = calls_of_attention(model, inputs)
    extent = tuple(images.shape[1:-1])
    divided = [one for one in layers_within(model) if isinstance(one, DividedSpaceTimeBlock)]
    tokens = _tokens(calls, divided, model=model, batch=images.shape[0])
    grid = tuple(grid or token_grid(model, extent, tokens) or ())
    count = math.prod(grid) if grid else 0
    if len(grid) != len(extent) or not 0 < count <= tokens:
        told = grid or f"none that fits images of {extent} and {tokens} tokens"
        raise ValueError(f"`grid` must be the rows and columns of the patches, got {told}.")

    over_time = {id(block.time_attention) for block in divided}
    joint = None
    for layer, weights in calls:
        weights = _without_least(ops.mean(weights, axis=1), discard)
        weights = _over_all(weights, tokens, over_time=id(layer) in over_time)
        step = (1.0 - residual) * weights + residual * ops.eye(tokens)
        joint = step if joint is None else ops.matmul(step, joint)
    raw = ops.reshape(looked_at(joint, count), (-1, *grid))
    return HeatMap.of(raw, images)


def _tokens(calls, divided, *, model, batch):
    """Number of tokens of an example; a divided block's calls attend within parts of them."""
    tokens = calls[0][1].shape[-1]
    if divided:
        space = next(w for layer, w in calls if layer is divided[0].self_attention)
        tokens = divided[0].frames * space.shape[-1]
    within = {
        id(part) for block in divided for part in (block.time_attention, block.self_attention)
    }
    for layer, weights in calls:
        rows, _, *part = weights.shape
        parts = tokens // part[-1] if id(layer) in within else 1
        fits = part == [tokens // parts] * 2
        if not fits or (rows and batch and rows != batch * parts):
            raise ValueError(
                f"`model` must attend over the same tokens in all layers, and in {model.name} "
                f"{layer.path or layer.name} has weights {tuple(weights.shape)} for {batch} "
                f"examples of {tokens} tokens; `explain.attention_maps` shows each by itself."
            )
    return tokens


def _without_least(weights, discard):
    """Rows (..., n) whose least weights are 0, and that sum to 1."""
    dropped = int(discard * weights.shape[-1])
    if not dropped:
        return weights
    # The place of each weight in its row, the least first.
    place = ops.argsort(ops.argsort(weights, axis=-1), axis=-1)
    kept = ops.where(place >= dropped, weights, 0.0)
    return kept / ops.sum(kept, axis=-1, keepdims=True)


def _over_all(weights, tokens, *, over_time):
    """Weights (B n, m, m) within n parts of an example as (B, n m, n m) over all its tokens.

    Tokens are in the order of frames, then places: a part is a frame or, over time, a place.
    """
    part = weights.shape[-1]
    parts = tokens // part
    if parts == 1:
        return weights
    weights = ops.reshape(weights, (-1, parts, part, part))
    # (B, part, token, part, token), 0 but within a part.
    same = ops.reshape(ops.eye(parts), (1, parts, 1, parts, 1))
    whole = ops.expand_dims(weights, 3) * same
    if over_time:  # the token of a part is the frame, which comes first
        whole = ops.transpose(whole, (0, 2, 1, 4, 3))
    return ops.reshape(whole, (-1, tokens, tokens))
