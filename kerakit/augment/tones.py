"""Changes of an image's tones by tables and neighbours, as torchvision defines them for uint8.

All take one image (h, w, c) float32 of whole numbers 0..255 and give such an image.
"""

import tensorflow as tf


def posterize(image, bits):
    """Keeps the first bits of each value.

    Args:
        image: (h, w, c) float32, 0..255.
        bits: Scalar, whole, 0 to 8; 8 leaves the image as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> posterize(tf.constant([[[255.0, 100.0, 7.0]]]), 2.0).numpy().ravel().tolist()
    [192.0, 64.0, 0.0]
    """
    step = tf.pow(2.0, 8.0 - bits)
    return tf.floor(image / step) * step


def solarize(image, threshold):
    """Inverts the values from a threshold on.

    Args:
        image: (h, w, c) float32, 0..255.
        threshold: Scalar; 256 leaves the image as it is, 0 inverts it.

    Returns:
        (h, w, c) float32.

    Example:

    >>> solarize(tf.constant([[[200.0, 100.0]]]), 128.0).numpy().ravel().tolist()
    [55.0, 100.0]
    """
    return tf.where(image >= threshold, 255.0 - image, image)


def autocontrast(image):
    """Stretches each channel so that its least value is 0 and its largest 255.

    Args:
        image: (h, w, c) float32, 0..255; a channel of one value stays as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> autocontrast(tf.constant([[[100.0], [125.0], [200.0]]])).numpy().ravel().tolist()
    [0.0, 63.0, 255.0]
    """
    least = tf.reduce_min(image, axis=(0, 1))
    span = tf.reduce_max(image, axis=(0, 1)) - least
    # The product first: it is exact, so that the largest value comes to 255 and not below.
    stretched = tf.floor((image - least) * 255.0 / tf.maximum(span, 1.0))
    return tf.where(span > 0, stretched, image)


def equalize(image):
    """Maps each channel's values so that each is about as frequent as any other.

    Pillow's rule: with n(v) pixels of a value v, N pixels in all, and a step s of
    `(N - n(largest)) // 255`, the value v becomes `(n(0) + ... + n(v - 1) + s // 2) // s`.

    Args:
        image: (h, w, c) float32, 0..255; a channel with s = 0 stays as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> dark = tf.cast(tf.range(512) // 4, tf.float32)  # 0 to 127
    >>> [int(v) for v in equalize(tf.reshape(dark, (512, 1, 1)))[::128, 0, 0]]
    [0, 128, 255, 255]
    """
    shape = tf.shape(image)
    pixels = shape[0] * shape[1]
    channels = image.shape[-1]
    value = tf.reshape(tf.cast(image, tf.int32), (pixels, channels)) + 256 * tf.range(channels)
    ones = tf.ones((pixels * channels,), tf.int32)
    counts = tf.math.unsorted_segment_sum(ones, tf.reshape(value, [-1]), 256 * channels)
    counts = tf.reshape(counts, (channels, 256))
    up_to = tf.cumsum(counts, axis=1)
    # The count of the largest value there is: the rise to the last level of the sum.
    below_largest = tf.reduce_max(tf.where(up_to < pixels, up_to, 0), axis=1)
    step = (below_largest // 255)[:, None]
    table = tf.minimum((up_to - counts + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    return tf.cast(tf.reshape(tf.gather(tf.reshape(table, [-1]), value), shape), tf.float32)


def sharpness(image, factor):
    """The image moved from its smoothed self s: `f x + (1 - f) s`, but for the border.

    s is the mean of the 3 x 3 pixels around, the middle one counted five times, rounded.

    Args:
        image: (h, w, c) float32, 0..255; less than 3 pixels high or wide it stays as it is.
        factor: Scalar, at least 0; 0 is smoothed, 1 leaves the image as it is.

    Returns:
        (h, w, c) float32.

    Example:

    >>> dot = tf.pad(tf.fill((1, 1, 1), 130.0), [[1, 1], [1, 1], [0, 0]])
    >>> float(sharpness(dot, 0.0)[1, 1, 0])  # 5 / 13 of 130
    50.0
    """
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]])
    height, width = tf.unstack(tf.shape(image)[:2])
    weights = {(row, column): 1.0 for row in range(3) for column in range(3)} | {(1, 1): 5.0}
    around = tf.add_n(
        [
            weight * tf.slice(padded, [row, column, 0], tf.shape(image))
            for (row, column), weight in weights.items()
        ]
    )
    smooth = tf.round(around / 13.0)
    changed = tf.floor(tf.clip_by_value(image + (smooth - image) * (1.0 - factor), 0.0, 255.0))
    rows, columns = tf.range(height)[:, None], tf.range(width)
    inside = (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    return tf.where(inside[..., None], changed, image)
