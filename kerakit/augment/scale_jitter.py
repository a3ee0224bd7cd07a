"""Large-scale jitter."""

import tensorflow as tf

from kerakit.augment.arguments import check_fill, check_range, check_share
from kerakit.augment.draws import draw_seeds, draw_uniform
from kerakit.augment.frames import picture_size
from kerakit.augment.geometry import transform_batch
from kerakit.augment.scaling import place_scaled, scaling_matrices


class ScaleJitter:
    """Scales each example by a factor of its own and cuts or fills it up to its old size.

    The factor is uniform, and so is the place: of the window in a picture that has grown, or of a
    picture that has shrunk in the window. Smoothed where it shrinks, which
    `keras.layers.RandomZoom` and `RandomAffine` do not: at a tenth they take every tenth pixel.

    Args:
        scale: Least and largest factor, above 0.
        fill: Value of what comes from outside the picture, 0..255; in masks that is 0, in masks
            of class ids 255.
        min_visible: Boxes of which a smaller share of the area stays in the image are dropped:
            their label becomes -1. In [0, 1].

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance
        Segmentation, 2021, section 3 (large scale jittering, 0.1 to 2). Deviation: a picture that
        has shrunk lies at a random place.

    Example:

    >>> jitter = ScaleJitter(scale=(0.5, 1.5))
    >>> batch = {"image": tf.zeros((2, 8, 9, 3), tf.uint8)}
    >>> jitter(batch, tf.constant([0, 1]))["image"].shape
    TensorShape([2, 8, 9, 3])
    """

    def __init__(self, *, scale=(0.1, 2.0), fill=114, min_visible=0.1):
        self.scale = check_range("scale", scale, low=0)
        check_fill(fill)
        check_share("min_visible", min_visible)
        self.fill = fill
        self.min_visible = min_visible

    def draws(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            Scales and shifts, both (B, 2) float32, (vertical, horizontal).
        """
        scale_seed, place_seed = draw_seeds(seed, 2)
        low, high = self.scale
        scale = tf.repeat(draw_uniform(scale_seed, (batch_size, 1), low=low, high=high), 2, axis=1)
        room = tf.cast(size, tf.float32) * (1.0 - scale)
        return scale, room * draw_uniform(place_seed, (batch_size, 2))

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures, boxes and masks scaled and cut.
        """
        count, size = picture_size(batch)
        scale, shift = self.draws(seed, batch_size=count, size=size)

        def move_images(frames, example):
            moved = tf.map_fn(
                lambda own: place_scaled(own[0], own[1], shift=own[2], size=size, fill=self.fill),
                (frames, tf.gather(scale, example), tf.gather(shift, example)),
                fn_output_signature=tf.uint8,
            )
            return tf.ensure_shape(moved, frames.shape)

        return transform_batch(
            batch,
            scaling_matrices(scale, shift),
            min_visible=self.min_visible,
            move_images=move_images,
        )
