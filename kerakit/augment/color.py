"""Changes of an image's colours, as torchvision defines them for uint8.

All take one image (h, w, c) float32 of whole numbers 0..255, c 1 or 3, and a scalar amount, and
give such an image: results are cut off to 0..255 and rounded down after each step.
"""

import tensorflow as tf


def brightness(image, factor):
    """The image times a factor: `f x`.

    Args:
        image: (h, w, c) float32, 0..255.
        factor: Scalar, at least 0; 0 is black, 1 leaves the image as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> float(brightness(tf.constant([[[101.0]]]), 0.5)[0, 0, 0])
    50.0
    """
    return _cut_off(image * factor)


def contrast(image, factor):
    """The image moved from its mean grey m: `f x + (1 - f) m`.

    Args:
        image: (h, w, c) float32, 0..255.
        factor: Scalar, at least 0; 0 is grey, 1 leaves the image as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> contrast(tf.constant([[[100.0], [200.0]]]), 0.5).numpy().ravel().tolist()
    [125.0, 175.0]
    """
    return _cut_off(image * factor + (1.0 - factor) * tf.reduce_mean(grey(image)))


def saturation(image, factor):
    """Each pixel moved from its own grey g: `f x + (1 - f) g`.

    Args:
        image: (h, w, c) float32, 0..255; with c = 1 it stays as it is.
        factor: Scalar, at least 0; 0 is grey, 1 leaves the image as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> saturation(tf.constant([[[100.0, 0.0, 0.0]]]), 0.0).numpy().ravel().tolist()
    [29.0, 29.0, 29.0]
    """
    if image.shape[-1] == 1:
        return image
    return _cut_off(image * factor + (1.0 - factor) * grey(image))


def hue(image, turn):
    """Each pixel's hue turned round the circle of colours, its value and saturation kept.

    The circle is that of HSV. With V = max(r, g, b) and D = V - min(r, g, b), the hue H in
    [0, 6) is `(g - b) / D`, `2 + (b - r) / D` or `4 + (r - g) / D`, by which channel is the
    largest; back, the channels are `V - D clip(min(k, 4 - k), 0, 1)` with k = (5, 3, 1) + H
    modulo 6.

    Args:
        image: (h, w, c) float32, 0..255; with c = 1 it stays as it is.
        turn: Scalar in turns: 0 leaves the image as it is, 1/3 makes red green.

    Returns:
        (h, w, c) float32.

    Example:

    >>> hue(tf.constant([[[200.0, 50.0, 50.0]]]), 1 / 3).numpy().ravel().tolist()
    [50.0, 200.0, 50.0]
    """
    if image.shape[-1] == 1:
        return image
    red, green, blue = tf.unstack(image, axis=-1)
    value = tf.reduce_max(image, axis=-1)
    spread = value - tf.reduce_min(image, axis=-1)
    share = tf.math.divide_no_nan(1.0, spread)
    sector = tf.where(
        value == red,
        (green - blue) * share,
        tf.where(value == green, 2.0 + (blue - red) * share, 4.0 + (red - green) * share),
    )
    place = tf.math.floormod(sector + 6.0 * turn, 6.0)
    k = tf.math.floormod(place[..., None] + tf.constant([5.0, 3.0, 1.0]), 6.0)
    turned = value[..., None] - spread[..., None] * tf.clip_by_value(
        tf.minimum(k, 4.0 - k), 0.0, 1.0
    )
    # As torchvision comes back from 0..1: 256 equal bins, less a little, so that 1 is 255.
    return tf.floor(turned * ((256.0 - 1e-3) / 255.0))


def grey(image):
    """The image's brightness to the eye, rounded down: `0.2989 r + 0.587 g + 0.114 b`.

    Args:
        image: (h, w, c) float32, 0..255.

    Returns:
        (h, w, 1) float32.

    Example:

    >>> grey(tf.constant([[[100.0, 100.0, 200.0]]])).numpy().ravel().tolist()
    [111.0]
    """
    if image.shape[-1] == 1:
        return image
    red, green, blue = tf.split(image, 3, axis=-1)
    return tf.floor(0.2989 * red + 0.587 * green + 0.114 * blue)


def _cut_off(image):
    return tf.floor(tf.clip_by_value(image, 0.0, 255.0))
