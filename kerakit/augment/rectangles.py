"""Upright rectangles of pictures replaced by something else."""

import tensorflow as tf


def paste(pictures, others, rectangles):
    """Pictures with a rectangle of each taken from another, for use inside a compiled function.

    Args:
        pictures: (B, h, w, c), or (B, T, h, w, c) for clips, whose frames share a rectangle.
        others: Of the same shape, or one number.
        rectangles: (B, 4) xyxy, whole numbers; the last row and column are not in it.

    Returns:
        Of the shape and dtype of `pictures`.

    Example:

    >>> square = tf.constant([[1, 0, 3, 1]])
    >>> paste(tf.zeros((1, 2, 3, 1)), 1.0, square)[0, :, :, 0].numpy().tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    # A pixel's channels side by side in one axis: loops over 3 are not made vectors of.
    shape, channels = tf.shape(pictures), pictures.shape[-1]
    flat = tf.concat([shape[:-2], [-1]], axis=0)
    rows = tf.cast(tf.range(shape[-3]), rectangles.dtype)
    columns = tf.cast(tf.range(shape[-2] * channels) // channels, rectangles.dtype)
    left, top, right, bottom = tf.unstack(rectangles[:, :, None], axis=1)
    down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    inside = down[:, :, None] & across[:, None, :]
    if pictures.shape.rank == 5:
        inside = inside[:, None]
    others = tf.cast(others, pictures.dtype)
    if others.shape.rank:
        others = tf.reshape(others, flat)
    return tf.reshape(tf.where(inside, others, tf.reshape(pictures, flat)), shape)
