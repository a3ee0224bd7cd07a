"""Random crops that show rare classes as often as common ones."""

import tensorflow as tf

from kerakit.augment.crop import RandomCrop
from kerakit.augment.draws import draw_seeds, draw_uniform
from kerakit.augment.geometry import IGNORE


class ClassBalancedCrop(RandomCrop):
    """Cuts a window around a pixel of a class that is drawn first, out of each example.

    Of the classes that an example's mask has, each is as likely as the others; of the class drawn,
    each pixel; it then lies anywhere in the window, as far as the picture's edges allow. A window
    at a uniform place misses a class of a thousandth of the pixels nearly always. No window lies
    behind the last row and column with a pixel that counts, where a frame holds a smaller image.

    Args:
        size: (height, width) of the window.
        probability: Share of the examples cut so; the others are cut at a uniform place.
        fill: As of `RandomCrop`.

    Raises:
        ValueError: If an argument is out of range, or, when called, if the batch has no `mask` or
            the window is larger than the pictures.

    Example:

    >>> crop = ClassBalancedCrop((4, 4))
    >>> mask = tf.one_hot([3], 64, dtype=tf.uint8)
    >>> batch = {"image": tf.zeros((1, 8, 8, 3), tf.uint8), "mask": tf.reshape(mask, (1, 8, 8))}
    >>> crop(batch, tf.constant([0, 1]))["mask"].shape
    TensorShape([1, 4, 4])
    """

    def __init__(self, size, *, probability=1.0, fill=0.0):
        super().__init__(size, fill=fill)
        if not 0 <= probability <= 1:
            raise ValueError(f"`probability` must be in [0, 1], got {probability}.")
        self.probability = probability

    def __call__(self, batch, seed):
        """Transforms a batch; see `RandomCrop`."""
        if "mask" not in batch:
            raise ValueError("`batch` must have `mask`, whose classes are balanced.")
        self._check_room(batch["image"].shape[1:3])
        return self._cut_at(batch, self._corners(batch["mask"], seed))

    def _corners(self, mask, seed):
        """(B, 2) int32 first row and column of each window."""
        count, _, width = tf.unstack(tf.shape(mask))
        event_seed, class_seed, pixel_seed, place_seed, uniform_seed = draw_seeds(seed, 5)
        ids = tf.cast(tf.reshape(mask, (count, -1)), tf.int32)
        present = tf.math.bincount(ids, minlength=IGNORE + 1, maxlength=IGNORE + 1, axis=-1)
        present = present[:, :IGNORE] > 0
        chances = tf.where(present, draw_uniform(class_seed, (count, IGNORE)), -1.0)
        drawn = tf.argmax(chances, axis=1, output_type=tf.int32)
        is_drawn = ids == drawn[:, None]
        # The n-th pixel of the class, n uniform: where the count of them first exceeds n.
        so_far = tf.cumsum(tf.cast(is_drawn, tf.int32), axis=1)
        number = draw_uniform(pixel_seed, (count, 1)) * tf.cast(so_far[:, -1:], tf.float32)
        number = tf.minimum(tf.cast(number, tf.int32), so_far[:, -1:] - 1)
        pixel = tf.argmax(so_far > number, axis=1, output_type=tf.int32)
        at = tf.stack([pixel // width, pixel % width], axis=1)
        inside = draw_uniform(place_seed, (count, 2)) * tf.cast(self.size, tf.float32)
        room = tf.maximum(_extent(mask) - self.size, 0)
        around = tf.clip_by_value(at - tf.cast(inside, tf.int32), 0, room)
        uniform = draw_uniform(uniform_seed, (count, 2)) * tf.cast(room + 1, tf.float32)
        uniform = tf.minimum(tf.cast(uniform, tf.int32), room)
        is_balanced = draw_uniform(event_seed, (count, 1)) < self.probability
        # Where all is to be ignored there is no class to look for.
        return tf.where(is_balanced & (so_far[:, -1:] > 0), around, uniform)


def _extent(mask):
    """(B, 2) rows and columns up to the last that counts: a smaller image in a frame ends there."""
    counts = mask != IGNORE
    seen = [tf.reduce_any(counts, axis=axis) for axis in (2, 1)]
    places = [tf.range(1, tf.shape(rows)[1] + 1) * tf.cast(rows, tf.int32) for rows in seen]
    return tf.stack([tf.reduce_max(place, axis=1) for place in places], axis=1)
