"""Features in a row, in the order of PyTorch's dense layers."""

from keras import layers


def flatten_channels_first(x, name="flatten"):
    """(B, ..., C) features as (B, C ...): all places of a channel, then the next channel.

    Keras's `Flatten` would have the channels of a place side by side, and the rows of a
    checkpoint's dense layer would meet other features.

    Args:
        x: Symbolic (B, H, W, C) or (B, T, H, W, C) features.
        name: Of the layer.

    Returns:
        Symbolic (B, C H W) or (B, C T H W) tensor.
    """
    last = len(x.shape) - 1
    x = layers.Permute((last, *range(1, last)), name=f"{name}_permute")(x)
    return layers.Flatten(name=name)(x)
