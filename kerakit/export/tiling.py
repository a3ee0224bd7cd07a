"""An image of any size as tiles that overlap, and their answers blended into one."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
    """How tiles of one size cover an image.

    Tiles start at multiples of `stride`, so that a network's pooling divides the image as it would
    divide the whole. Within `margin` pixels of its edge a tile's answer counts nothing, from there
    its weight rises evenly over `blend` pixels to 1; along the image's own edges it is 1
    throughout. With a margin of at least the network's receptive radius, tiles give what the
    network would give of the whole image (not one that scales each image by itself). Two
    neighbours share `2 margin + blend` pixels or more: of a tile of 256 with the defaults 64, so
    that a pixel of a large image is computed 1.8 times.

    Args:
        margin: Pixels, at least 0. None: the network's receptive radius where that is at most an
            eighth of the tile's shorter side, so that tiles leave no trace; else 3/32 of the side.
        blend: Pixels, at least 0; None for 2/32 of the side, and for 0 where tiles leave no trace.
        stride: By how much the network's coarsest map is smaller than its input; at least 1.

    Raises:
        ValueError: If an argument is none of these.

    Example:

    >>> Tiling().of_tile((256, 320))
    Tiling(margin=24, blend=16, stride=32)
    >>> Tiling().of_tile((256, 320)).starts(256, 700).numpy().tolist()
    [0, 192, 384, 448]
    """

    margin: int | None = None
    blend: int | None = None
    stride: int = 32

    def __post_init__(self):
        for name, least in (("margin", 0), ("blend", 0), ("stride", 1)):
            value = getattr(self, name)
            if value is None and name != "stride":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"`{name}` must be an integer of at least {least}, got {value!r}.")

    def of_tile(self, size, *, radius=None):
        """The same with numbers for None.

        Args:
            size: (height, width) of the part of a tile for which the network answers.
            radius: How far, in pixels, an answer lies from what it reads; None if not known.

        Raises:
            ValueError: If tiles of this size cannot overlap so much.
        """
        shorter = min(size)
        is_exact = self.margin is None and radius is not None and 8 * radius <= shorter
        margin, blend = (radius, 0) if is_exact else (shorter * 3 // 32, shorter // 16)
        tiling = Tiling(
            margin=margin if self.margin is None else self.margin,
            blend=blend if self.blend is None else self.blend,
            stride=self.stride,
        )
        if tiling.step(shorter) < 1:
            raise ValueError(
                f"Tiles of {size[0]} x {size[1]} are too small: with a `margin` of "
                f"{tiling.margin} on both sides and a `blend` of {tiling.blend} fewer pixels are "
                f"left than the `stride` of {tiling.stride}. Take a larger input, or smaller ones."
            )
        return tiling

    def step(self, tile):
        """Pixels from a tile to the next, of tiles with `tile` pixels; all numbers given."""
        return (tile - 2 * self.margin - self.blend) // self.stride * self.stride

    def starts(self, tile, length):
        """Where the tiles along an axis start.

        Args:
            tile: Length of a tile; an int.
            length: Length of the image; an int or an integer tensor.

        Returns:
            (n,) int32. The last one ends less than `stride` behind the image, or it is the only.
        """
        last = -((tile - length) // self.stride) * self.stride
        last, step = tf.maximum(last, 0), self.step(tile)
        return tf.minimum(tf.range((last + step - 1) // step + 1) * step, last)

    def weights(self, tile, starts):
        """Weight of each pixel of each tile along an axis, float32 (n, tile).

        Those of all tiles add up to 1 at each pixel of the image.
        """
        place = tf.range(tile)
        rise = tf.cast(place - self.margin + 1, tf.float32) / (self.blend + 1)
        rise = tf.clip_by_value(rise, 0.0, 1.0)
        number = tf.range(tf.size(starts))[:, None]
        at_first = tf.where(number == 0, 1.0, rise)
        at_last = tf.where(number == tf.size(starts) - 1, 1.0, rise[::-1])
        weights, places = tf.minimum(at_first, at_last), starts[:, None] + place
        total = tf.math.unsorted_segment_sum(weights, places, starts[-1] + tile)
        return weights / tf.gather(total, places)

    def to_dict(self):
        """Settings as a dict of plain values, for `card.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings):
        """The tiling whose `to_dict` gave `settings`."""
        return cls(**settings)


def overlap_add(piece, starts, begun):
    """Sum of pieces that lie along the first axis and overlap, one held at a time.

    Args:
        piece: Function of a piece's number, a scalar int32 tensor, that gives it, float32.
        starts: (n,) int32 places of the pieces, rising from 0; each piece reaches the next.
        begun: float32 zeros of a piece's shape.

    Returns:
        float32, as long as the end of the last piece.
    """
    begun_shape = begun.shape
    length, *rest = begun_shape
    steps = tf.concat([starts[1:] - starts[:-1], [length]], axis=0)
    parts = tf.TensorArray(
        tf.float32, size=tf.size(starts), infer_shape=False, element_shape=(None, *rest)
    )

    def add(number, begun, parts):
        begun, step = begun + piece(number), steps[number]
        parts = parts.write(number, begun[:step])  # no later piece reaches there
        left = tf.pad(begun[step:], [[0, step]] + [[0, 0]] * len(rest))
        return number + 1, tf.ensure_shape(left, begun_shape), parts

    # One at a time: pieces do not hang on each other, and TensorFlow would begin several.
    *_, parts = tf.while_loop(
        lambda number, *_: number < tf.size(starts),
        add,
        (tf.constant(0), begun, parts),
        parallel_iterations=1,
    )
    return parts.concat()
