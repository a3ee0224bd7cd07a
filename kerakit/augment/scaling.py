"""A picture scaled and placed in a window, smoothed where it shrinks."""

import tensorflow as tf


def place_scaled(image, scale, *, shift, size, fill):
    """Scales a picture and cuts the window out of the plane it lies on.

    The point p of the picture comes to `p * scale + shift`. Bilinear, the triangle widened where
    the picture shrinks, as in `kerakit.data.Preparation`; `transform_images` does not smooth.

    Args:
        image: (h, w, c) uint8.
        scale: (2,) float32, (vertical, horizontal), above 0.
        shift: (2,) float32, (vertical, horizontal) in pixels.
        size: (height, width) of the window, or an int32 (2,) tensor; may be 0.
        fill: Value of what comes from outside the picture, 0..255.

    Returns:
        (*size, c) uint8.

    Example:

    >>> image = tf.fill((2, 2, 1), tf.constant(9, tf.uint8))
    >>> place_scaled(image, [1.0, 1.0], shift=[0.0, 1.0], size=(1, 4), fill=5)[0, :, 0].numpy()
    array([5, 9, 9, 5], dtype=uint8)
    """
    size = tf.convert_to_tensor(size, tf.int32)
    # The op refuses an empty window, and leaves 0 outside the picture.
    pixels = tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(image, tf.float32)[None] - fill,
        size=tf.maximum(size, 1),
        scale=scale,
        translation=shift,
        kernel_type="triangle",
        antialias=True,
    )[0]
    pixels = tf.round(tf.clip_by_value(pixels + fill, 0.0, 255.0))
    return tf.cast(pixels, tf.uint8)[: size[0], : size[1]]


def scaling_matrices(scale, shift):
    """Matrices, as of `affine_matrices`, of `p * scale + shift`.

    Args:
        scale: (..., 2) float32, (vertical, horizontal).
        shift: (..., 2) float32, (vertical, horizontal) in pixels.

    Returns:
        (..., 3, 3) float32.

    Example:

    >>> scaling_matrices(tf.constant([2.0, 3.0]), tf.constant([4.0, 5.0])).numpy().tolist()
    [[3.0, 0.0, 5.0], [0.0, 2.0, 4.0], [0.0, 0.0, 1.0]]
    """
    zero, one = tf.zeros_like(scale[..., 0]), tf.ones_like(scale[..., 0])
    rows = [scale[..., 1], zero, shift[..., 1], zero, scale[..., 0], shift[..., 0], zero, zero, one]
    return tf.reshape(tf.stack(rows, axis=-1), tf.concat([tf.shape(scale)[:-1], [3, 3]], axis=0))
