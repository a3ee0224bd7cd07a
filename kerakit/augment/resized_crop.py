"""Random crops of random size, resized to one size."""

import math

import tensorflow as tf

from kerakit.augment.arguments import check_range, check_share, check_size
from kerakit.augment.crop_resizing import resize_crops
from kerakit.augment.draws import draw_seeds, draw_uniform
from kerakit.augment.frames import picture_size
from kerakit.augment.geometry import transform_batch

ATTEMPTS = 10


class RandomResizedCrop:
    """Cuts a window of random area, shape and place out of each example, and resizes it.

    The window's area is uniform between shares of the picture's, the logarithm of width over
    height is uniform too; of ten draws the first that fits is taken, and if none does, the
    largest window in the middle whose shape is allowed. Antialiased, as `resize_crops`.

    Args:
        size: (height, width) of the results.
        scale: Least and largest share of the picture's area, in (0, 1].
        ratio: Least and largest width over height, above 0.
        min_visible: Boxes of which a smaller share of the area stays in the window are dropped:
            their label becomes -1. In [0, 1].

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Szegedy et al., Going Deeper with Convolutions, 2015, section 6; defaults and fallback
        are torchvision's.

    Example:

    >>> crop = RandomResizedCrop((24, 24), scale=(0.3, 1.0))
    >>> crop({"image": tf.zeros((8, 28, 32, 3), tf.uint8)}, tf.constant([0, 1]))["image"].shape
    TensorShape([8, 24, 24, 3])
    """

    def __init__(self, size, *, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), min_visible=0.1):
        self.size = check_size(size)
        self.scale = check_range("scale", scale, low=0, high=1)
        self.ratio = check_range("ratio", ratio, low=0)
        check_share("min_visible", min_visible)
        self.min_visible = min_visible

    def crops(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            (B, 4) float32 xyxy, whole numbers: the windows.
        """
        height, width = tf.unstack(tf.cast(size, tf.float32))
        area_seed, ratio_seed, place_seed = draw_seeds(seed, 3)
        shape = (batch_size, ATTEMPTS)
        share = draw_uniform(area_seed, shape, low=self.scale[0], high=self.scale[1])
        low, high = map(math.log, self.ratio)
        ratio = tf.exp(draw_uniform(ratio_seed, shape, low=low, high=high))
        widths = tf.round(tf.sqrt(share * height * width * ratio))
        heights = tf.round(tf.sqrt(share * height * width / ratio))
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        found = tf.reduce_any(fits, axis=1)
        first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
        # The largest window of the nearest allowed shape.
        shape_allowed = tf.clip_by_value(width / height, *self.ratio)
        widest = tf.maximum(1.0, tf.minimum(width, tf.round(height * shape_allowed)))
        highest = tf.maximum(1.0, tf.minimum(height, tf.round(width / shape_allowed)))
        w = tf.where(found, tf.gather(widths, first, batch_dims=1), widest)
        h = tf.where(found, tf.gather(heights, first, batch_dims=1), highest)
        place = draw_uniform(place_seed, (batch_size, 2))
        left = tf.floor(tf.where(found, place[:, 0] * (width - w + 1), (width - w) / 2))
        top = tf.floor(tf.where(found, place[:, 1] * (height - h + 1), (height - h) / 2))
        return tf.stack([left, top, left + w, top + h], axis=1)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`; pictures of known size.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures, boxes and masks cut and resized.
        """
        count, size = picture_size(batch)
        crops = self.crops(seed, batch_size=count, size=size)

        def move_images(frames, example):
            return resize_crops(frames, tf.gather(crops, example), size=self.size)

        return transform_batch(
            batch,
            _matrices(crops, self.size),
            min_visible=self.min_visible,
            move_images=move_images,
            size=self.size,
        )


def _matrices(crops, size):
    left, top, right, bottom = tf.unstack(crops, axis=1)
    across, down = size[1] / (right - left), size[0] / (bottom - top)
    zero, one = tf.zeros_like(left), tf.ones_like(left)
    entries = [across, zero, -left * across, zero, down, -top * down, zero, zero, one]
    return tf.reshape(tf.stack(entries, axis=-1), (-1, 3, 3))
