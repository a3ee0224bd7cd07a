"""Random crops."""

import tensorflow as tf

from kerakit.augment.arguments import check_fill, check_share, check_size
from kerakit.augment.draws import draw_uniform
from kerakit.augment.frames import picture_key, picture_size
from kerakit.augment.geometry import transform_batch


class RandomCrop:
    """Cuts a window of fixed size at a place of its own out of each example of a batch.

    `keras.layers.RandomCrop` cuts the whole batch at one place, and moves boxes by the wrong
    axis' offset (14 pixels off on average, in Keras 3.15).

    Args:
        size: (height, width) of the window.
        padding: Pixels added on each side before.
        fill: Their value, 0..255; in masks that is 0, in masks of class ids 255.
        min_visible: Boxes of which a smaller share of the area stays in the window are dropped:
            their label becomes -1. In [0, 1].

    Raises:
        ValueError: If an argument is out of range, or, when called, if the window is larger
            than the padded pictures.

    Example:

    >>> crop = RandomCrop((24, 24), padding=2)
    >>> crop({"image": tf.zeros((8, 28, 32, 3), tf.uint8)}, tf.constant([0, 1]))["image"].shape
    TensorShape([8, 24, 24, 3])
    """

    def __init__(self, size, *, padding=0, fill=0.0, min_visible=0.1):
        self.size = check_size(size)
        if padding < 0:
            raise ValueError(f"`padding` must be at least 0, got {padding}.")
        check_fill(fill)
        check_share("min_visible", min_visible)
        self.padding = padding
        self.fill = fill
        self.min_visible = min_visible

    def corners(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            (B, 2) int32 first row and column of each window in the padded picture.
        """
        room = tf.cast(size, tf.int32) + 2 * self.padding - self.size + 1
        places = draw_uniform(seed, (batch_size, 2)) * tf.cast(room, tf.float32)
        return tf.cast(tf.floor(places), tf.int32)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures, boxes and masks cut.
        """
        self._check_room(batch[picture_key(batch)].shape[-3:-1])
        count, size = picture_size(batch)
        return self._cut_at(batch, self.corners(seed, batch_size=count, size=size))

    def _cut_at(self, batch, corners):
        count = picture_size(batch)[0]

        def move(frames, example, fill=self.fill):
            return self._cut(frames, tf.gather(corners, example), fill)

        shift = tf.cast(self.padding - tf.reverse(corners, axis=[1]), tf.float32)
        matrices = tf.concat([tf.eye(3, 2, batch_shape=[count]), _column(shift)], axis=2)
        return transform_batch(
            batch,
            matrices,
            min_visible=self.min_visible,
            move_images=move,
            move_masks=move,
            size=self.size,
        )

    def _cut(self, frames, corners, fill):
        if self.padding:
            sides = [[0, 0], [self.padding] * 2, [self.padding] * 2, [0, 0]]
            frames = tf.pad(frames, sides, constant_values=tf.cast(fill, frames.dtype))
        rows = corners[:, :1] + tf.range(self.size[0])
        return _gathered(frames, rows, corners[:, 1:] + tf.range(self.size[1]))

    def _check_room(self, shape):
        for side, available in zip(self.size, shape, strict=True):
            if available is not None and side > available + 2 * self.padding:
                raise ValueError(
                    f"`size` must fit into the pictures, of {shape[0]} x {shape[1]} pixels and "
                    f"{self.padding} of padding on each side, got {self.size}."
                )


def _column(shift):
    return tf.concat([shift, tf.ones_like(shift[:, :1])], axis=1)[..., None]


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gathered(frames, rows, columns):
    return tf.gather(tf.gather(frames, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
