"""Random rotation, translation, zoom and shear of a batch of images."""

import math

import tensorflow as tf


def affine_matrices(*, angle, shift, scale, shear, size):
    """Matrices that take a point of each image to where the transform puts it.

    About the image's centre c: shear, scale, rotation, then the shift:
    `p' = c + shift + R(angle) diag(scale) [[1, tan(shear)], [0, 1]] (p - c)`. Points are (x, y)
    in pixels from the top left corner, y down, so that the centre of the first pixel is
    (0.5, 0.5) and a positive angle turns clockwise on the screen. Whatever moves with the
    pixels, such as boxes, goes through the same matrices.

    Args:
        angle: (B,) float radians.
        shift: (B, 2) float, (x, y) in pixels.
        scale: (B, 2) float, (x, y), above 0.
        shear: (B,) float radians.
        size: (2,) height and width of the images.

    Returns:
        (B, 3, 3) float32, for column vectors (x, y, 1).
    """
    size = tf.cast(size, tf.float32)
    centre = tf.reverse(size, axis=[0]) / 2.0
    cos, sin, tan = tf.cos(angle), tf.sin(angle), tf.tan(shear)
    a, b = cos * scale[:, 0], cos * scale[:, 0] * tan - sin * scale[:, 1]
    c, d = sin * scale[:, 0], sin * scale[:, 0] * tan + cos * scale[:, 1]
    linear = tf.reshape(tf.stack([a, b, c, d], axis=-1), (-1, 2, 2))
    offset = centre + shift - tf.linalg.matvec(linear, tf.broadcast_to(centre, tf.shape(shift)))
    top = tf.concat([linear, offset[..., None]], axis=-1)
    bottom = tf.broadcast_to(tf.constant([[[0.0, 0.0, 1.0]]]), (tf.shape(top)[0], 1, 3))
    return tf.concat([top, bottom], axis=1)


def transform_images(images, matrices, *, fill):
    """Images (B, h, w, c) moved by matrices of `affine_matrices`; bilinear.

    Args:
        images: (B, h, w, c) uint8 or float.
        matrices: (B, 3, 3) float32.
        fill: Value of what comes from outside the image.

    Returns:
        (B, h, w, c), of the dtype of `images`; uint8 is rounded to the nearest.
    """
    # The op counts from the centre of the first pixel and wants the way back.
    to_corner = tf.constant([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    to_centre = tf.constant([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    back = to_centre @ tf.linalg.inv(matrices) @ to_corner
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.reshape(back, (-1, 9))[:, :8],
        output_shape=tf.shape(images)[1:3],
        fill_value=float(fill),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    if images.dtype.is_integer:
        moved = tf.round(moved)
    return tf.ensure_shape(tf.cast(moved, images.dtype), images.shape)


class RandomAffine:
    """Rotates, shifts, zooms and shears each image of a batch by a draw of its own.

    `keras.layers.RandomRotation` and its like draw from a generator with state; here the draws
    are a function of the seed that is given, so that a resumed run draws the same.

    Args:
        rotation: Largest angle in degrees, either way; in [0, 180].
        translation: Largest shift as a fraction of the image's side, in [0, 1].
        zoom: Largest zoom, in [0, 1): the factor is uniform in [1 - zoom, 1 + zoom].
        shear: Largest horizontal shear in degrees, either way; in [0, 90).
        fill: Value of what comes from outside the image, 0..255.

    Raises:
        ValueError: If a strength is out of its range.

    Example:

    >>> augment = RandomAffine(rotation=10, translation=0.1)
    >>> batch = {"image": tf.zeros((2, 8, 8, 3), tf.uint8)}
    >>> augment(batch, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 8, 3])
    """

    def __init__(self, *, rotation=0.0, translation=0.0, zoom=0.0, shear=0.0, fill=0.0):
        if not 0 <= rotation <= 180:
            raise ValueError(f"`rotation` must be in [0, 180], got {rotation}.")
        if not 0 <= translation <= 1:
            raise ValueError(f"`translation` must be in [0, 1], got {translation}.")
        if not 0 <= zoom < 1:
            raise ValueError(f"`zoom` must be in [0, 1), got {zoom}.")
        if not 0 <= shear < 90:
            raise ValueError(f"`shear` must be in [0, 90), got {shear}.")
        if not 0 <= fill <= 255:
            raise ValueError(f"`fill` must be in [0, 255], got {fill}.")
        self.rotation = rotation
        self.translation = translation
        self.zoom = zoom
        self.shear = shear
        self.fill = fill

    def matrices(self, seed, *, batch_size, size):
        """The draws of one batch: (B, 3, 3) matrices, as of `affine_matrices`."""
        draws = tf.random.stateless_uniform((batch_size, 5), seed, minval=-1.0, maxval=1.0)
        size = tf.cast(size, tf.float32)
        zoom = 1.0 + draws[:, 3] * self.zoom
        return affine_matrices(
            angle=draws[:, 0] * math.radians(self.rotation),
            shift=draws[:, 1:3] * self.translation * tf.reverse(size, axis=[0]),
            scale=tf.stack([zoom, zoom], axis=-1),
            shear=draws[:, 4] * math.radians(self.shear),
            size=size,
        )

    def __call__(self, batch, seed):
        """Transforms `image` of a batch.

        Args:
            batch: Dict with `image` (B, h, w, c).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its `image` transformed.
        """
        images = batch["image"]
        shape = tf.shape(images)
        matrices = self.matrices(seed, batch_size=shape[0], size=shape[1:3])
        return {**batch, "image": transform_images(images, matrices, fill=self.fill)}
