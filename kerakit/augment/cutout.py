"""Cutout, also called random erasing."""

import math

import tensorflow as tf

from kerakit.augment.arguments import check_fill, check_range, check_share
from kerakit.augment.draws import draw_events, draw_seeds, draw_uniform
from kerakit.augment.frames import picture_key, picture_size
from kerakit.augment.rectangles import paste

ATTEMPTS = 10


class Cutout:
    """Fills a rectangle of each example with one value.

    The rectangle's area is uniform between shares of the picture's, the logarithm of height
    over width is uniform too; of ten draws the first that is smaller than the picture is taken,
    and the place is uniform among those where it lies inside. Boxes and masks stay: what is
    covered is still there. All frames of a clip lose the same part.
    (`keras.layers.RandomErasing(factor=1.0)` erases only 48 % of the images, in Keras 3.15.)

    Args:
        probability: Of filling a rectangle of an example, in [0, 1].
        scale: Least and largest share of the picture's area, in (0, 1].
        ratio: Least and largest height over width, above 0.
        fill: The value, 0..255.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Zhong et al., Random Erasing Data Augmentation, 2020, Algorithm 1, with torchvision's
        defaults; DeVries and Taylor, Improved Regularization of Convolutional Neural Networks
        with Cutout, 2017, for squares of one size: `scale` and `ratio` of two equal values.
        Deviation from the latter: the square lies inside the picture.

    Example:

    >>> cutout = Cutout(probability=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    >>> white = {"image": tf.fill((3, 8, 8, 1), tf.constant(255, tf.uint8))}
    >>> erased = cutout(white, tf.constant([0, 1]))["image"] == 0
    >>> tf.math.count_nonzero(erased, axis=(1, 2, 3)).numpy().tolist()
    [16, 16, 16]
    """

    def __init__(self, *, probability=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), fill=0.0):
        check_share("probability", probability)
        check_fill(fill)
        self.probability = probability
        self.scale = check_range("scale", scale, low=0, high=1)
        self.ratio = check_range("ratio", ratio, low=0)
        self.fill = fill

    def rectangles(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            (B, 4) float32 xyxy, whole numbers: the rectangles, empty where nothing is filled.
        """
        height, width = tf.unstack(tf.cast(size, tf.float32))
        event_seed, area_seed, ratio_seed, place_seed = draw_seeds(seed, 4)
        shape = (batch_size, ATTEMPTS)
        share = draw_uniform(area_seed, shape, low=self.scale[0], high=self.scale[1])
        low, high = map(math.log, self.ratio)
        ratio = tf.exp(draw_uniform(ratio_seed, shape, low=low, high=high))
        heights = tf.round(tf.sqrt(share * height * width * ratio))
        widths = tf.round(tf.sqrt(share * height * width / ratio))
        fits = (heights < height) & (widths < width)
        happens = draw_events(event_seed, batch_size, probability=self.probability)
        happens &= tf.reduce_any(fits, axis=1)
        first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
        h, w = (
            tf.where(happens, tf.gather(sides, first, batch_dims=1), 0.0)
            for sides in (heights, widths)
        )
        place = draw_uniform(place_seed, (batch_size, 2))
        left = tf.floor(place[:, 0] * (width - w + 1))
        top = tf.floor(place[:, 1] * (height - h + 1))
        return tf.stack([left, top, left + w, top + h], axis=1)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` (B, h, w, c) or `video` (B, T, h, w, c).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures partly filled.
        """
        key, (count, size) = picture_key(batch), picture_size(batch)
        rectangles = self.rectangles(seed, batch_size=count, size=size)
        erased = _erased(batch[key], tf.cast(self.fill, batch[key].dtype), rectangles)
        return {**batch, key: tf.ensure_shape(erased, batch[key].shape)}


_erased = tf.function(paste, jit_compile=True, autograph=False)
