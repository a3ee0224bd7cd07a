"""RandAugment."""

import functools
import math

import tensorflow as tf

from kerakit.augment.affine import affine_matrices
from kerakit.augment.arguments import check_fill, check_share
from kerakit.augment.color import brightness, contrast, saturation
from kerakit.augment.draws import draw_seeds, draw_uniform
from kerakit.augment.frames import on_pictures, picture_size
from kerakit.augment.geometry import transform_batch
from kerakit.augment.in_order import in_order
from kerakit.augment.resampling import sample
from kerakit.augment.tones import autocontrast, equalize, posterize, sharpness, solarize

# What is drawn from, each as likely.
OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
# The first ones move, and share one branch.
MOVES = 6
LARGEST = 30


class RandAugment:
    """A few operations of a fixed table on each example, all of one strength.

    Each example draws `num_operations` of fourteen, with repetition: identity, shear along x or
    y (up to 0.3), translation along x or y (up to 150/331 of the side, whole pixels), rotation
    (up to 30 degrees), brightness, color, contrast and sharpness (factor 1 +- up to 0.9),
    posterize (down to 4 bits), solarize (threshold down to 0), autocontrast, equalize; signs are
    drawn. What moves takes the nearest pixel, and takes boxes and masks along. All frames of a
    clip change alike.

    Args:
        num_operations: How many an example, at least 1.
        magnitude: Strength of all, in [0, 30]; at 0 only autocontrast and equalize do something.
        fill: Value of what comes from outside the image, 0..255.
        min_visible: Boxes of which a smaller share of the area stays in the image are dropped:
            their label becomes -1. In [0, 1].

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Cubuk et al., RandAugment: Practical automated data augmentation with a reduced search
        space, 2020, section 3, with torchvision's table. Deviation from that: the threshold of
        solarize falls from 256, not 255, which at magnitude 0 turns white black.

    Example:

    >>> augment = RandAugment(magnitude=9)
    >>> augment({"image": tf.zeros((2, 8, 8, 3), tf.uint8)}, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 8, 3])
    """

    def __init__(self, *, num_operations=2, magnitude=9, fill=0.0, min_visible=0.1):
        if num_operations < 1:
            raise ValueError(f"`num_operations` must be at least 1, got {num_operations}.")
        if not 0 <= magnitude <= LARGEST:
            raise ValueError(f"`magnitude` must be in [0, {LARGEST}], got {magnitude}.")
        check_fill(fill)
        check_share("min_visible", min_visible)
        self.num_operations = num_operations
        self.magnitude = magnitude
        self.fill = fill
        self.min_visible = min_visible

    def draws(self, seed, *, batch_size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.

        Returns:
            (B, S) int32 numbers of `OPERATIONS` and (B, S) float32 signs, 1 or -1.
        """
        shape = (batch_size, self.num_operations)
        choice_seed, sign_seed = draw_seeds(seed, 2)
        chosen = draw_uniform(choice_seed, shape, high=float(len(OPERATIONS)))
        signs = tf.where(draw_uniform(sign_seed, shape) < 0.5, -1.0, 1.0)
        return tf.cast(chosen, tf.int32), signs

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`; pictures uint8.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures changed, its boxes and masks moved.
        """
        count, size = picture_size(batch)
        chosen, signs = self.draws(seed, batch_size=count)
        level = self.magnitude / LARGEST
        matrices = _moves(chosen, signs * level, size)
        amounts = tf.gather(_amounts(level), chosen)
        amounts = tf.where(signs > 0, amounts[..., 1], amounts[..., 0])
        branch = tf.maximum(chosen - MOVES + 1, 0)
        arguments = tf.concat([_back(matrices), amounts[..., None]], axis=-1)

        def change(frames, example):
            own = tf.gather(branch, example), tf.gather(arguments, example)
            return tf.ensure_shape(_changed(self.fill)(frames, *own), frames.shape)

        # What is moved out of the picture by one operation is not brought back by the next.
        changed = on_pictures(change, batch)
        for step in tf.unstack(matrices, axis=1):
            changed = transform_batch(
                changed,
                step,
                min_visible=self.min_visible,
                move_images=lambda frames, example: frames,
            )
        return changed


def _moves(chosen, level, size):
    """(B, S, 3, 3) matrices of the operations that move; of the others the identity."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    name = {name: tf.cast(chosen == n, tf.float32) * level for n, name in enumerate(OPERATIONS)}
    right = tf.cast(tf.cast(name["translate_x"] * (150 / 331 * width), tf.int32), tf.float32)
    down = tf.cast(tf.cast(name["translate_y"] * (150 / 331 * height), tf.int32), tf.float32)
    turns = affine_matrices(
        angle=tf.reshape(name["rotate"] * math.radians(30), [-1]),
        shift=tf.reshape(tf.stack([right, down], axis=-1), (-1, 2)),
        scale=tf.ones((tf.size(level), 2)),
        shear=tf.zeros(tf.size(level)),
        size=size,
    )
    # About the top left corner, as in the paper.
    zero, one = tf.zeros_like(level), tf.ones_like(level)
    shears = [one, 0.3 * name["shear_x"], zero, 0.3 * name["shear_y"], one, zero, zero, zero, one]
    shears = tf.reshape(tf.stack(shears, axis=-1), (-1, 3, 3))
    return tf.reshape(turns @ shears, tf.concat([tf.shape(level), [3, 3]], axis=0))


def _amounts(level):
    """(14, 2) arguments of the operations, for the negative and the positive sign."""
    factor = (1.0 - 0.9 * level, 1.0 + 0.9 * level)
    table = dict.fromkeys(("brightness", "color", "contrast", "sharpness"), factor)
    table["posterize"] = (8.0 - round(4 * level),) * 2
    table["solarize"] = (256.0 * (1.0 - level),) * 2
    return tf.constant([table.get(name, (0.0, 0.0)) for name in OPERATIONS])


def _back(matrices):
    back = tf.linalg.inv(matrices)[..., :2, :]
    return tf.reshape(back, tf.concat([tf.shape(back)[:2], [6]], axis=0))


@functools.cache
def _changed(fill):
    """The compiled operations; an argument is the way back of a move, then the amount."""

    def move(image, argument):
        return sample(
            image[None], tf.reshape(argument[:6], (1, 2, 3)), fill=fill, interpolation="nearest"
        )[0]

    def by_amount(operation):
        return lambda image, argument: operation(image, argument[6])

    with_amount = (brightness, saturation, contrast, sharpness, posterize, solarize)
    alone = (autocontrast, equalize)
    return in_order(
        [
            move,
            *map(by_amount, with_amount),
            *(lambda image, _, operation=operation: operation(image) for operation in alone),
        ]
    )
