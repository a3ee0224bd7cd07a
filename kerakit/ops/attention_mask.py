"""What attention may look at: padding, order and Keras's own masks as one mask."""

from keras import ops


def merge_masks(*, padding_mask=None, attention_mask=None):
    """Both masks as one of what may be looked at.

    Args:
        padding_mask: (B, S) bool, False where there is no token to look at.
        attention_mask: (T, S) or (B, T, S) bool: may token i (row) look at token j (column)?

    Returns:
        Bool tensor that broadcasts to (B, T, S), True where looking is allowed; None if neither
        mask is given.
    """
    masks = []
    if padding_mask is not None:
        masks.append(ops.cast(padding_mask, "bool")[:, None, :])
    if attention_mask is not None:
        attention_mask = ops.cast(attention_mask, "bool")
        is_shared = len(attention_mask.shape) == 2
        masks.append(attention_mask[None] if is_shared else attention_mask)
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else ops.logical_and(*masks)


def take_mask(x, padding_mask=None):
    """A tensor without the mask that Keras keeps on it, and that mask with another.

    `keras.layers.MultiHeadAttention` clears the masks of the tensors that it is given, not of
    copies: a second layer that attends to the same memory would see its padding (Keras 3.15).

    Args:
        x: (B, S, ...) tensor.
        padding_mask: (B, S) bool, or None.

    Returns:
        The tensor, and a (B, S) bool mask, True where both allow it; None if there is none.
    """
    carried = getattr(x, "_keras_mask", None)
    if carried is None:
        return x, padding_mask
    if padding_mask is not None:
        carried = ops.logical_and(ops.cast(carried, "bool"), ops.cast(padding_mask, "bool"))
    return ops.copy(x), carried
