"""A class id a pixel, checked against the logits that are to learn it."""

from keras import ops


def pixel_labels(y_true, y_pred):
    """Labels (B, ...) int32 for logits (B, ..., K).

    Args:
        y_true: Ids (B, ...) or (B, ..., 1), of any dtype.
        y_pred: (B, ..., K).

    Returns:
        The ids without a last axis of 1.

    Raises:
        ValueError: If the shapes do not fit.
    """
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    if len(pred_shape) < 2 or pred_shape[-1] is None or pred_shape[-1] < 2:
        raise ValueError(
            f"`y_pred` must be logits (B, ..., K) of at least 2 classes, got shape {pred_shape}."
        )
    has_last_axis = len(true_shape) == len(pred_shape) and true_shape[-1] == 1
    known = true_shape[:-1] if has_last_axis else true_shape
    if len(known) != len(pred_shape) - 1 or any(
        true != pred and None not in (true, pred)
        for true, pred in zip(known, pred_shape[:-1], strict=True)
    ):
        raise ValueError(
            "`y_true` must be class ids (B, ...) or (B, ..., 1) for `y_pred` of shape "
            f"{pred_shape}, got shape {true_shape}."
        )
    labels = ops.squeeze(y_true, axis=-1) if has_last_axis else y_true
    return ops.cast(labels, "int32")


def kinds_of_pixels(labels, num_classes, ignore_class):
    """Which labels count, and which are neither a class nor to be ignored: two bool tensors."""
    is_class = ops.logical_and(labels >= 0, labels < num_classes)
    if ignore_class is None:
        return is_class, ops.logical_not(is_class)
    is_ignored = labels == ignore_class
    counts = ops.logical_and(is_class, ops.logical_not(is_ignored))
    return counts, ops.logical_not(ops.logical_or(counts, is_ignored))


def check_image_weights(sample_weight):
    """Refuses weights of pixels, which would be multiplied into a loss of each image."""
    shape = () if sample_weight is None else tuple(ops.shape(sample_weight))
    if len(shape) > 2 or (len(shape) == 2 and shape[-1] != 1):
        raise ValueError(
            f"`sample_weight` must be a number an image, (B,) or (B, 1), got shape {shape}; "
            "pixels are weighted by their class."
        )
