"""Random elastic deformation."""

import tensorflow as tf

from kerakit.augment.arguments import check_fill
from kerakit.augment.draws import draw_normal
from kerakit.augment.frames import on_frames, on_pictures, picture_size
from kerakit.augment.geometry import IGNORE
from kerakit.augment.resampling import sample_at


class ElasticDeformation:
    """Bends each example of a batch smoothly, as tissue and paper bend.

    At the points of a coarse grid displacements are drawn from a normal distribution; between
    them they are interpolated bicubically. Pictures are interpolated, masks take the
    nearest pixel, and all frames of a clip bend alike. Keras 3.15 has
    `keras.layers.RandomElasticTransform`, which draws from a generator with state and bends every
    pixel by smoothed noise of its own.

    Args:
        displacement: Standard deviation of the displacements, in pixels; at least 0.
        grid: Points of the grid along each side, at least 2.
        fill: Value of what comes from outside the image, 0..255; in masks that is 0, in masks
            of class ids 255.

    Raises:
        ValueError: If an argument is out of range, or, when called, if the batch has boxes, which
            do not stay upright rectangles.

    Reference:
        Ronneberger et al., U-Net, 2015, section 3.1: displacements of a standard deviation of 10
        pixels on a 3 x 3 grid, interpolated bicubically.

    Example:

    >>> bend = ElasticDeformation(displacement=2.0)
    >>> batch = {"image": tf.zeros((2, 8, 8, 3), tf.uint8), "mask": tf.zeros((2, 8, 8), tf.uint8)}
    >>> bend(batch, tf.constant([0, 1]))["mask"].shape
    TensorShape([2, 8, 8])
    """

    def __init__(self, *, displacement=10.0, grid=3, fill=0.0):
        if displacement < 0:
            raise ValueError(f"`displacement` must be at least 0, got {displacement}.")
        if grid < 2:
            raise ValueError(f"`grid` must be at least 2, got {grid}.")
        check_fill(fill)
        self.displacement = displacement
        self.grid = grid
        self.fill = fill

    def displacements(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            (B, h, w, 2) float32, (x, y): from a pixel of the result to its source.
        """
        coarse = draw_normal(seed, (batch_size, self.grid, self.grid, 2)) * self.displacement
        return tf.image.resize(coarse, size, method="bicubic")

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` or `video`, and perhaps `masks` (B, N, h, w) and `mask`
                (B, h, w).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures and masks bent.
        """
        if "boxes" in batch:
            raise ValueError("`batch` must have no boxes: bent, they are no rectangles.")
        count, size = picture_size(batch)
        moves = self.displacements(seed, batch_size=count, size=size)

        def bend(frames, example, fill=self.fill, interpolation="bilinear"):
            own = tf.gather(moves, example)
            moved = _bent(frames, own, tf.cast(fill, tf.float32), interpolation)
            return tf.ensure_shape(moved, frames.shape)

        bent = on_pictures(bend, batch)
        for key, fill in (("masks", 0), ("mask", IGNORE)):
            if key in batch:
                planes = on_frames(
                    lambda frames, example, fill=fill: bend(frames, example, fill, "nearest"),
                    batch[key][..., None],
                )
                bent[key] = planes[..., 0]
        return bent


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _bent(frames, moves, fill, interpolation):
    height, width = tf.unstack(tf.shape(frames))[1:3]
    x = tf.range(width, dtype=tf.float32) + 0.5
    y = tf.range(height, dtype=tf.float32)[:, None] + 0.5
    return sample_at(
        frames, x + moves[..., 0], y + moves[..., 1], fill=fill, interpolation=interpolation
    )
