"""The pictures of a batch, frame by frame, with the number of the example each belongs to."""

import tensorflow as tf


def picture_key(batch):
    """Key of a batch's pictures: `image` or `video`.

    Args:
        batch: Dict with `image` (B, h, w, c) or `video` (B, T, h, w, c).

    Returns:
        The key.

    Raises:
        ValueError: If the dict has neither, or both.

    Example:

    >>> picture_key({"image": tf.zeros((2, 8, 8, 3), tf.uint8)})
    'image'
    """
    keys = [key for key in ("image", "video") if key in batch]
    if len(keys) != 1:
        raise ValueError(f"The batch must have either `image` or `video`, got {sorted(batch)}.")
    return keys[0]


def picture_size(batch):
    """Number of examples, and height and width of a batch's pictures.

    Args:
        batch: Dict with `image` (B, h, w, c) or `video` (B, T, h, w, c).

    Returns:
        Scalar int32 B and int32 (2,) size.

    Example:

    >>> count, size = picture_size({"image": tf.zeros((2, 8, 9, 3), tf.uint8)})
    >>> int(count), size.numpy().tolist()
    (2, [8, 9])
    """
    shape = tf.shape(batch[picture_key(batch)])
    return shape[0], shape[-3:-1]


def on_frames(function, pictures):
    """Applies a function of single frames to images, clips or stacks of masks.

    Args:
        function: `function(frames, example)` of frames (F, h, w, c) and the int32 (F,) numbers
            of the examples they belong to, which gives (F, H, W, c).
        pictures: (B, h, w, c), or (B, T, h, w, c) for T frames an example.

    Returns:
        (B, H, W, c) or (B, T, H, W, c).

    Example:

    >>> clips = tf.zeros((2, 5, 8, 8, 3), tf.uint8)
    >>> on_frames(lambda frames, example: frames[:, :4], clips).shape
    TensorShape([2, 5, 4, 8, 3])
    """
    shape = tf.shape(pictures)
    if pictures.shape.rank == 4:
        return function(pictures, tf.range(shape[0]))
    frames = tf.reshape(pictures, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
    frames.set_shape([None, *pictures.shape[2:]])
    result = function(frames, tf.repeat(tf.range(shape[0]), shape[1]))
    together = tf.reshape(result, tf.concat([shape[:2], tf.shape(result)[1:]], axis=0))
    return tf.ensure_shape(together, [*pictures.shape[:2], *result.shape[1:]])


def on_pictures(function, batch):
    """Applies a function of single frames to `image` or `video` of a batch.

    Args:
        function: As of `on_frames`.
        batch: Dict with `image` (B, h, w, c) or `video` (B, T, h, w, c).

    Returns:
        The dict, its pictures replaced.

    Example:

    >>> batch = {"image": tf.zeros((2, 8, 8, 3), tf.uint8), "label": tf.zeros(2, tf.int32)}
    >>> on_pictures(lambda frames, example: frames + 1, batch)["image"].numpy().max()
    np.uint8(1)
    """
    key = picture_key(batch)
    return {**batch, key: on_frames(function, batch[key])}
