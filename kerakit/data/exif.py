"""The orientation that a camera notes in a JPEG, read and applied in the graph."""

import tensorflow as tf

# The note stands in the first segments; what lies further in is picture.
_HEAD_BYTES = 1 << 17
_APP1, _COMMENT = 0xE1, 0xFE
_ORIENTATION_TAG, _SHORT = 0x0112, 3


def exif_orientation(encoded):
    """Orientation of a JPEG, 1 to 8, as its EXIF note says; 1 if it says none.

    Walks the JPEG's segments to the first APP1 that holds EXIF and looks the tag up in the
    first directory, in either byte order. Whatever is malformed means 1, never an error.

    Args:
        encoded: Scalar string tensor, the bytes of a JPEG.

    Returns:
        Scalar int32 in 1..8; 1 is upright.

    Reference:
        CIPA DC-008-2019, Exchangeable image file format for digital still cameras: Exif 2.32,
        sections 4.5.2 (directories), 4.6.4 (orientation) and 4.7.2 (APP1). Deviations: the tag
        counts only in the first 128 KiB of the file, and only as one SHORT.
    """
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 0, _HEAD_BYTES), tf.uint8), tf.int64)
    size = tf.size(head, out_type=tf.int64)
    head = tf.concat([head, tf.zeros([1], tf.int64)], axis=0)  # index `size`: past the end

    def byte(position):
        inside = (position >= 0) & (position < size)
        return tf.gather(head, tf.where(inside, position, size))

    def number(position, *, length, little):
        """Unsigned integer of `length` bytes at each position."""
        steps = tf.range(length, dtype=tf.int64)
        power = tf.where(little, steps, length - 1 - steps)
        return tf.reduce_sum(
            tf.bitwise.left_shift(byte(position[..., None] + steps), 8 * power), axis=-1
        )

    def is_exif(segment):
        signature = tf.constant([ord(c) for c in "Exif\0\0"], tf.int64)
        found = byte(segment + 4 + tf.range(6, dtype=tf.int64))
        return (byte(segment + 1) == _APP1) & tf.reduce_all(found == signature)

    def goes_on(segment):
        marker = byte(segment + 1)
        is_note = ((marker >= 0xE0) & (marker <= 0xEF)) | (marker == _COMMENT)
        return (byte(segment) == 0xFF) & is_note & ~is_exif(segment)

    def next_segment(segment):
        # A length below 2 is malformed; 2 keeps the walk moving.
        length = number(segment + 2, length=2, little=False)
        return (segment + 2 + tf.maximum(length, 2),)

    (segment,) = tf.while_loop(goes_on, next_segment, (tf.constant(2, tf.int64),))
    end = tf.minimum(segment + 2 + number(segment + 2, length=2, little=False), size)
    start = segment + 10  # offsets in the note count from here
    little = byte(start) == ord("I")
    order_is_known = (byte(start) == byte(start + 1)) & (little | (byte(start) == ord("M")))
    is_tiff = order_is_known & (number(start + 2, length=2, little=little) == 42)

    directory = start + number(start + 4, length=4, little=little)
    count = number(directory, length=2, little=little)
    entries = directory + 2 + 12 * tf.range(tf.minimum(count, _HEAD_BYTES // 12))
    is_orientation = (
        (number(entries, length=2, little=little) == _ORIENTATION_TAG)
        & (number(entries + 2, length=2, little=little) == _SHORT)
        & (number(entries + 4, length=4, little=little) == 1)
        & (entries + 12 <= end)
        & is_tiff
        & is_exif(segment)
    )
    values = tf.boolean_mask(number(entries + 8, length=2, little=little), is_orientation)
    value = tf.concat([values, tf.ones([1], tf.int64)], axis=0)[0]
    return tf.cast(tf.where((value >= 1) & (value <= 8), value, 1), tf.int32)


def upright(image, orientation):
    """Turns and mirrors an image (H, W, C) so that it stands as the camera saw it.

    Args:
        image: (H, W, C) tensor as stored.
        orientation: Scalar int32 in 1..8, from `exif_orientation`.

    Returns:
        (H, W, C), or (W, H, C) for orientations 5 to 8.
    """

    def turned():
        # Each of the eight is a transposition or none, then flips along either axis.
        step = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
        result = tf.transpose(image, step)
        mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
        upended = tf.reduce_any(orientation == [3, 4, 7, 8])
        result = tf.cond(mirrored, lambda: result[:, ::-1], lambda: result)
        return tf.cond(upended, lambda: result[::-1], lambda: result)

    return tf.cond(orientation == 1, lambda: image, turned)
