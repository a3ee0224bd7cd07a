"""Random rotation, translation, zoom and shear."""

import math

import tensorflow as tf

from kerakit.augment.arguments import check_fill, check_share
from kerakit.augment.draws import draw_uniform
from kerakit.augment.frames import picture_size
from kerakit.augment.geometry import transform_batch
from kerakit.augment.resampling import transform_images


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


class RandomAffine:
    """Rotates, shifts, zooms and shears each example of a batch by a draw of its own.

    Pictures are interpolated, masks take the nearest pixel, boxes become the upright bounds of
    their moved corners (`tighten_boxes` makes them exact where there are masks). All frames of
    a clip move alike.

    `keras.layers.RandomRotation` and its like draw from a generator with state; here the draws
    are a function of the seed that is given, so that a resumed run draws the same.

    Args:
        rotation: Largest angle in degrees, either way; in [0, 180].
        translation: Largest shift as a fraction of the image's side, in [0, 1].
        zoom: Largest zoom, in [0, 1): the factor is uniform in [1 - zoom, 1 + zoom].
        shear: Largest horizontal shear in degrees, either way; in [0, 90).
        fill: Value of what comes from outside the image, 0..255; in masks that is 0, in masks
            of class ids 255.
        min_visible: Boxes of which a smaller share of the area stays in the image are dropped:
            their label becomes -1. In [0, 1].

    Raises:
        ValueError: If a strength is out of its range.

    Example:

    >>> augment = RandomAffine(rotation=10, translation=0.1)
    >>> batch = {"image": tf.zeros((2, 8, 8, 3), tf.uint8)}
    >>> augment(batch, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 8, 3])
    """

    def __init__(
        self, *, rotation=0.0, translation=0.0, zoom=0.0, shear=0.0, fill=0.0, min_visible=0.1
    ):
        if not 0 <= rotation <= 180:
            raise ValueError(f"`rotation` must be in [0, 180], got {rotation}.")
        check_share("translation", translation)
        check_share("min_visible", min_visible)
        if not 0 <= zoom < 1:
            raise ValueError(f"`zoom` must be in [0, 1), got {zoom}.")
        if not 0 <= shear < 90:
            raise ValueError(f"`shear` must be in [0, 90), got {shear}.")
        check_fill(fill)
        self.rotation = rotation
        self.translation = translation
        self.zoom = zoom
        self.shear = shear
        self.fill = fill
        self.min_visible = min_visible

    def matrices(self, seed, *, batch_size, size):
        """The draws of one batch: (B, 3, 3) matrices, as of `affine_matrices`."""
        draws = draw_uniform(seed, (batch_size, 5), low=-1.0, high=1.0)
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
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures, boxes and masks moved.
        """
        count, size = picture_size(batch)
        matrices = self.matrices(seed, batch_size=count, size=size)

        def move_images(frames, example):
            return transform_images(frames, tf.gather(matrices, example), fill=self.fill)

        return transform_batch(
            batch, matrices, min_visible=self.min_visible, move_images=move_images
        )
