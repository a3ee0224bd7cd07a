"""Crops brought to one size, smoothed where they shrink."""

import math

import tensorflow as tf


def resize_crops(images, crops, *, size):
    """Cuts a window out of each image and resizes all to one size; bilinear, antialiased.

    Each result pixel is the mean of the window's pixels near its place, weighted by a triangle
    as wide as the window shrinks, at least a pixel to each side: Pillow's and torchvision's
    `antialias=True`. (`tf.image.crop_and_resize` does not smooth, and places the corners
    of pixels, not their centres.) First along the columns, then along the rows.

    Args:
        images: (B, h, w, c) uint8 or float; h and w known.
        crops: (B, 4) float32 xyxy, whole numbers in the image, sides at least 1.
        size: (height, width) of the results.

    Returns:
        `(B, *size, c)`, of the dtype of `images`; uint8 is rounded to the nearest.

    Raises:
        ValueError: If height or width of `images` is not known.

    Example:

    >>> image = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
    >>> crop = tf.constant([[2.0, 0.0, 4.0, 2.0]])
    >>> resize_crops(image, crop, size=(1, 1)).numpy().ravel().tolist()  # mean of 2, 3, 6, 7
    [4.5]
    """
    if None in images.shape[1:3]:
        raise ValueError(f"`images` must have a known height and width, got {images.shape}.")
    left, top, right, bottom = tf.unstack(crops, axis=1)
    rows = _taps(top, bottom - top, available=images.shape[1], count=size[0])
    columns = _taps(left, right - left, available=images.shape[2], count=size[1])
    # Apart, so that each is computed once: fused into one, rows are computed again for each tap.
    return _along_rows(_along_columns(images, *rows), *columns, dtype=images.dtype)


@tf.function(jit_compile=True, autograph=False)
def _taps(start, extent, *, available, count):
    """Places and weights, both (B, count, taps), of the pixels that make up each result."""
    scale = extent[:, None] / count
    reach = tf.maximum(scale, 1.0)
    centre = start[:, None] + (tf.range(count, dtype=tf.float32) + 0.5) * scale
    first = tf.floor(centre - reach + 0.5)
    most = math.ceil(2 * max(available / count, 1.0))
    place = first[..., None] + tf.range(most, dtype=tf.float32)
    weight = tf.nn.relu(1.0 - tf.abs(place + 0.5 - centre[..., None]) / reach[..., None])
    end = (start + extent)[:, None, None]
    weight = tf.where((place >= start[:, None, None]) & (place < end), weight, 0.0)
    weight /= tf.reduce_sum(weight, axis=-1, keepdims=True)
    return tf.cast(tf.clip_by_value(place, 0.0, available - 1.0), tf.int32), weight


@tf.function(jit_compile=True, autograph=False)
def _along_columns(images, place, weight):
    return tf.add_n(
        [
            tf.cast(tf.gather(images, own, axis=1, batch_dims=1), tf.float32)
            * share[:, :, None, None]
            for own, share in _each_tap(place, weight)
        ]
    )


@tf.function(jit_compile=True, autograph=False)
def _along_rows(images, place, weight, *, dtype):
    resized = tf.add_n(
        [
            tf.gather(images, own, axis=2, batch_dims=1) * share[:, None, :, None]
            for own, share in _each_tap(place, weight)
        ]
    )
    return tf.cast(tf.round(resized) if dtype.is_integer else resized, dtype)


def _each_tap(place, weight):
    return zip(tf.unstack(place, axis=-1), tf.unstack(weight, axis=-1), strict=True)
