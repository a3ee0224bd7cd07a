"""Random changes of colour."""

import tensorflow as tf

from kerakit.augment.arguments import check_share
from kerakit.augment.color import brightness, contrast, hue, saturation
from kerakit.augment.draws import draw_seeds, draw_uniform
from kerakit.augment.frames import on_pictures, picture_size
from kerakit.augment.in_order import in_order

OPERATIONS = (brightness, contrast, saturation, hue)

_jittered = in_order(
    [lambda image, amount, change=change: change(image, amount[0]) for change in OPERATIONS]
)


class ColorJitter:
    """Changes brightness, contrast, saturation and hue of each example, in an order it draws.

    torchvision's `ColorJitter`, an example at a time; all frames of a clip change alike.
    `keras.layers.RandomColorJitter` keeps one order, and turns the hue in another way.

    Args:
        brightness: The factor is uniform in [1 - brightness, 1 + brightness]; in [0, 1].
        contrast: Likewise.
        saturation: Likewise.
        hue: The turn is uniform in [-hue, hue], in whole turns; in [0, 0.5].

    Raises:
        ValueError: If a strength is out of its range.

    Example:

    >>> jitter = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    >>> jitter({"image": tf.zeros((2, 8, 8, 3), tf.uint8)}, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 8, 3])
    """

    def __init__(self, *, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
        check_share("brightness", brightness)
        check_share("contrast", contrast)
        check_share("saturation", saturation)
        if not 0 <= hue <= 0.5:
            raise ValueError(f"`hue` must be in [0, 0.5], got {hue}.")
        self.strengths = (brightness, contrast, saturation, hue)

    def draws(self, seed, *, batch_size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.

        Returns:
            Orders (B, S) int32, numbers of `OPERATIONS`, of which those of strength 0 are left
            out; and the amounts (B, S) float32, in that order.
        """
        order_seed, amount_seed = draw_seeds(seed, 2)
        used = [number for number, strength in enumerate(self.strengths) if strength]
        shape = (batch_size, len(used))
        order = tf.argsort(draw_uniform(order_seed, shape), axis=1)
        middles = tf.constant([0.0 if number == 3 else 1.0 for number in used])
        strengths = tf.constant([self.strengths[number] for number in used], tf.float32)
        amounts = middles + strengths * draw_uniform(amount_seed, shape, low=-1.0)
        chosen = tf.gather(tf.constant(used, tf.int32), order)
        return chosen, tf.gather(amounts, order, batch_dims=1)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` (B, h, w, c) or `video` (B, T, h, w, c), uint8.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures changed.
        """
        if not any(self.strengths):
            return batch
        chosen, amounts = self.draws(seed, batch_size=picture_size(batch)[0])

        def change(frames, example):
            own = tf.gather(amounts, example)[..., None]
            changed = _jittered(frames, tf.gather(chosen, example), own)
            return tf.ensure_shape(changed, frames.shape)

        return on_pictures(change, batch)
