"""Bytes of an image file to pixels, in the graph."""

import tensorflow as tf

from kerakit.data.exif import exif_orientation, upright

# First bytes by which a file is told, in the order of the branches below.
SIGNATURES = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF8",
    "BMP": b"BM",
}
_HEXADECIMAL = [f"{value:02x}" for value in range(256)]


def decode(encoded, *, name="This"):
    """Decodes a JPEG, PNG, GIF (first frame) or BMP to the picture that a viewer shows.

    It runs in the graph, so that an exported model decodes as its validation did. TensorFlow's
    own `tf.io.decode_image` ignores EXIF orientation, drops alpha, so that what is transparent
    shows the colour hidden below it, reads a palette BMP's indices as grey, and decodes JPEG
    by the fast, inexact transform. Here orientation is applied, alpha is composited over white,
    palettes are looked up and JPEG is decoded by the accurate transform (Pillow's pixels).

    Args:
        encoded: Scalar string tensor, the bytes of the file.
        name: What the error calls the image; a string or a scalar string tensor.

    Returns:
        (H, W, 3) uint8, RGB. 16-bit samples keep their upper 8 bits; grey is repeated. CMYK
        JPEGs are converted without a colour profile. Pixels that are transparent in a GIF
        are black, as TensorFlow decodes them.

    Raises:
        tf.errors.InvalidArgumentError: If the bytes are no such image, or a broken one.

    Example:

    >>> png = tf.io.encode_png(tf.constant([[[255, 0, 0, 0]]], tf.uint8))  # transparent red
    >>> decode(png).numpy().tolist()
    [[[255, 255, 255]]]
    """
    return _decode(encoded, tf.convert_to_tensor(name))


def decode_mask(encoded):
    """Decodes a grey PNG of class ids, as TensorFlow Datasets writes them.

    Args:
        encoded: Scalar string tensor. Of a palette it gives grey values, not the ids: such files
            are read with Pillow (`kerakit.data.mask_files`).

    Returns:
        (H, W) uint8.

    Example:

    >>> decode_mask(tf.io.encode_png(tf.constant([[[0], [7]]], tf.uint8))).numpy().tolist()
    [[0, 7]]
    """
    return tf.io.decode_png(encoded, channels=1)[..., 0]


# Traced once for all who call it: the branches take longer to trace than a set to decode.
@tf.function(
    input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.string)], autograph=False
)
def _decode(encoded, name):
    starts = [
        tf.strings.substr(encoded, 0, len(signature)) == signature
        for signature in SIGNATURES.values()
    ]
    # The index of the signature that fits, or the one past the last.
    kind = tf.argmax(tf.stack([*starts, True]), output_type=tf.int32)
    image = tf.switch_case(
        kind,
        [
            lambda: _decode_jpeg(encoded),
            lambda: _decode_png(encoded),
            lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
            lambda: _decode_bmp(encoded, name),
            lambda: _refuse(encoded, name),
        ],
    )
    return tf.ensure_shape(image, (None, None, 3))


def _decode_jpeg(encoded):
    image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return upright(image, exif_orientation(encoded))


def _decode_png(encoded):
    rgba = tf.cast(tf.io.decode_png(encoded, channels=4), tf.int32)
    # Of a PNG without transparency TensorFlow gives the alpha 2**bits - 1, also where a sample
    # has 1, 2 or 4 bits: 1, 3 or 15 for opaque. There alpha counts only if a tRNS chunk says so.
    bits = _number(encoded, 24, 1)
    is_opaque = tf.cond(
        bits < 8,
        lambda: ~tf.strings.regex_full_match(encoded, r"\C*tRNS\C*IDAT\C*"),
        lambda: False,
    )
    alpha = tf.where(is_opaque, 255, rgba[..., 3:])
    # Whole numbers: + 127 rounds to the nearest, and opaque pixels stay as they are.
    return tf.cast((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _number(encoded, position, length):
    """Little-endian integer in the first 64 bytes; what a file is too short to hold reads as 0."""
    head = tf.strings.join([tf.strings.substr(encoded, 0, 64), b"\0" * 64])
    digits = tf.io.decode_raw(tf.strings.substr(head, position, length), tf.uint8)
    return tf.reduce_sum(tf.cast(digits, tf.int32) * 256 ** tf.range(length))


def _decode_bmp(encoded, name):
    bits, compression = _number(encoded, 28, 2), _number(encoded, 30, 4)
    readable = tf.reduce_any(bits == [8, 24, 32]) & tf.reduce_any(compression == [0, 3])
    message = tf.strings.join(
        [
            name,
            " is a BMP image of ",
            tf.strings.as_string(bits),
            " bits a pixel, compression ",
            tf.strings.as_string(compression),
            "; only uncompressed ones of 8, 24 or 32 bits can be read.",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(readable, [message])]):
        image = tf.io.decode_bmp(tf.identity(encoded))

    def look_up():
        # 256 entries always: the file goes on behind a shorter table, and ends in zeros here.
        start = tf.clip_by_value(14 + _number(encoded, 14, 4), 0, tf.strings.length(encoded))
        table = tf.strings.join([tf.strings.substr(encoded, start, 1024), b"\0" * 1024])
        table = tf.io.decode_raw(tf.strings.substr(table, 0, 1024), tf.uint8)
        red_green_blue = tf.reshape(table, (256, 4))[:, 2::-1]
        return tf.gather(red_green_blue, tf.cast(image[..., 0], tf.int32))

    # The fourth byte of 32 bits is unused in the common header: not alpha.
    return tf.cond(bits == 8, look_up, lambda: image[..., :3])


def _refuse(encoded, name):
    size = tf.strings.length(encoded)
    first = tf.io.decode_raw(tf.strings.substr(encoded, 0, 8), tf.uint8)
    first = tf.strings.reduce_join(tf.gather(_HEXADECIMAL, tf.cast(first, tf.int32)), separator=" ")
    begins = tf.where(size == 0, "", tf.strings.join([" and begins with the bytes ", first]))
    message = tf.strings.join(
        [
            name,
            " is not a JPEG, PNG, GIF or BMP image: it has ",
            tf.strings.as_string(size),
            " bytes",
            begins,
            ".",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
        return tf.zeros((1, 1, 3), tf.uint8)
