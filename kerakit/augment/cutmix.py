"""CutMix."""

import tensorflow as tf

from kerakit.augment.draws import draw_beta, draw_events, draw_seeds, draw_uniform
from kerakit.augment.frames import picture_key, picture_size
from kerakit.augment.mixing import check_mixable, check_mixing, mixed_labels, partners
from kerakit.augment.rectangles import paste


class CutMix:
    """Puts a rectangle of another example of the batch into each, and mixes labels by area.

    The rectangle has the picture's shape and, before it is cut off at the border, the area
    share 1 - m with m from Beta(alpha, alpha); its centre is uniform. `label` becomes float32
    (B, K), the shares of the pixels: exactly those pasted, after cutting off. All frames of a
    clip have the rectangle at the same place.

    Args:
        num_classes: K.
        alpha: Of the Beta distribution, above 0; 1 is uniform.
        probability: Of mixing an example, in [0, 1].

    Raises:
        ValueError: If an argument is out of range, or, when called, if the batch has no `label`
            or has boxes or masks.

    Reference:
        Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features, 2019, section 3.1. Deviation: m and the place are drawn for each example, not
        for the batch.

    Example:

    >>> batch = {"image": tf.zeros((4, 8, 8, 3), tf.uint8), "label": tf.range(4)}
    >>> CutMix(10)(batch, tf.constant([0, 1]))["label"].shape
    TensorShape([4, 10])
    """

    def __init__(self, num_classes, *, alpha=1.0, probability=1.0):
        check_mixing(num_classes, alpha=alpha, probability=probability)
        self.num_classes = num_classes
        self.alpha = alpha
        self.probability = probability

    def rectangles(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            (B, 4) int32 xyxy: the rectangles, empty where nothing is mixed.
        """
        event_seed, share_seed, place_seed = draw_seeds(seed, 3)
        mixes = draw_events(event_seed, batch_size, probability=self.probability)
        share = draw_beta(share_seed, batch_size, alpha=self.alpha)
        sides = tf.reverse(tf.cast(size, tf.int32), axis=[0])  # (width, height)
        extent = tf.sqrt(1.0 - share)[:, None] * tf.cast(sides, tf.float32)
        half = tf.cast(extent * 0.5, tf.int32)
        place = draw_uniform(place_seed, (batch_size, 2)) * tf.cast(sides, tf.float32)
        centre = tf.cast(place, tf.int32)
        start = tf.maximum(centre - half, 0)
        end = tf.where(mixes[:, None], tf.minimum(centre + half, sides), start)
        return tf.concat([start, end], axis=1)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` or `video`, and `label` (B,) or (B, K).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures mixed and its `label` (B, K) float32.
        """
        check_mixable(batch, "CutMix")
        key, (count, size) = picture_key(batch), picture_size(batch)
        rectangles = self.rectangles(seed, batch_size=count, size=size)

        mixed = tf.ensure_shape(_mixed(batch[key], rectangles), batch[key].shape)
        left, top, right, bottom = tf.unstack(rectangles, axis=1)
        # One division of whole numbers, so that the share is exact to the last digit.
        pixels = size[0] * size[1]
        share = tf.cast(pixels - (right - left) * (bottom - top), tf.float32)
        share /= tf.cast(pixels, tf.float32)
        labels = mixed_labels(batch["label"], share, num_classes=self.num_classes)
        return {**batch, key: mixed, "label": labels}


@tf.function(jit_compile=True, autograph=False)
def _mixed(pictures, rectangles):
    return paste(pictures, partners(pictures), rectangles)
