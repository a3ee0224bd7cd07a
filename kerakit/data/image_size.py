"""Height and width of image files as they are shown, by their headers."""

import tensorflow as tf

from kerakit.data.decode import SIGNATURES
from kerakit.data.exif import exif_orientation


def image_sizes(paths):
    """Sizes of image files, read in parallel, without decoding them.

    Args:
        paths: N paths of readable JPEG, PNG, GIF or BMP files.

    Returns:
        (N, 2) int64 array, height and width after EXIF orientation: those of `decode`.
    """
    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    sizes = names.map(
        lambda name: encoded_size(tf.io.read_file(name)), num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = list(sizes.batch(1024).as_numpy_iterator())
    return tf.concat(batches, axis=0).numpy()


def encoded_size(encoded):
    """Height and width of an image, from the bytes of its file.

    Args:
        encoded: Scalar string tensor, a JPEG, PNG, GIF or BMP.

    Returns:
        (2,) int64; 0 and 0 if it is none of these.

    Example:

    >>> encoded_size(tf.io.encode_png(tf.zeros((3, 5, 3), tf.uint8))).numpy().tolist()
    [3, 5]
    """
    return _encoded_size(tf.convert_to_tensor(encoded))


# Traced once for all who call it.
@tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
def _encoded_size(encoded):
    head = tf.strings.substr(tf.strings.join([encoded, b"\0" * 32]), 0, 32)
    head = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int64)

    def number(places):
        return tf.reduce_sum(tf.gather(head, places) * 256 ** tf.range(len(places), dtype=tf.int64))

    def jpeg():
        size = tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64)
        return tf.cond(exif_orientation(encoded) >= 5, lambda: size[::-1], lambda: size)

    def bmp():  # a negative height, two's complement, counts the rows from the top
        height = number([22, 23, 24, 25])
        return tf.stack([tf.minimum(height, 2**32 - height), number([18, 19, 20, 21])])

    starts = [
        tf.strings.substr(encoded, 0, len(signature)) == signature
        for signature in SIGNATURES.values()
    ]
    kind = tf.argmax(tf.stack([*starts, True]), output_type=tf.int32)
    size = tf.switch_case(
        kind,
        [
            jpeg,
            lambda: tf.stack([number([23, 22, 21, 20]), number([19, 18, 17, 16])]),
            lambda: tf.stack([number([8, 9]), number([6, 7])]),
            bmp,
            lambda: tf.zeros(2, tf.int64),
        ],
    )
    return tf.ensure_shape(size, (2,))
