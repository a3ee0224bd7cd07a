"""Random flips, in space and in time."""

import tensorflow as tf

from kerakit.augment.arguments import check_share
from kerakit.augment.draws import draw_events, draw_seeds
from kerakit.augment.frames import picture_size
from kerakit.augment.geometry import transform_batch
from kerakit.augment.label_swap import checked_pairs, swap_labels


class RandomFlip:
    """Flips each example of a batch, left to right, upside down or both.

    Each example draws for itself, and for each direction apart; pictures, boxes and masks go
    together.

    Args:
        horizontal: Whether to flip left to right.
        vertical: Whether to flip upside down.
        probability: Of a flip in each of these directions, in [0, 1].
        horizontal_swaps: Pairs of classes that a flip left to right turns into each other, such
            as "left" and "right" of a direction of motion.
        vertical_swaps: The same, of a flip upside down.

    Raises:
        ValueError: If `probability` is out of range, no direction is chosen, or the pairs are
            none.

    Example:

    >>> flip = RandomFlip(probability=1.0)
    >>> batch = {"image": tf.reshape(tf.constant([1, 2, 3], tf.uint8), (1, 1, 3, 1))}
    >>> flip(batch, tf.constant([0, 1]))["image"].numpy().ravel().tolist()
    [3, 2, 1]
    """

    def __init__(
        self,
        *,
        horizontal=True,
        vertical=False,
        probability=0.5,
        horizontal_swaps=(),
        vertical_swaps=(),
    ):
        check_share("probability", probability)
        if not (horizontal or vertical):
            raise ValueError("`horizontal` or `vertical` must be true, got neither.")
        self.horizontal = horizontal
        self.vertical = vertical
        self.probability = probability
        self.horizontal_swaps = checked_pairs("horizontal_swaps", horizontal_swaps)
        self.vertical_swaps = checked_pairs("vertical_swaps", vertical_swaps)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict of tensors, as of `transform_batch`.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures, boxes and masks flipped, and labels swapped.
        """
        count, size = picture_size(batch)
        seeds = draw_seeds(seed, 2)
        across, down = (
            draw_events(own, count, probability=self.probability if wanted else 0.0)
            for own, wanted in zip(seeds, (self.horizontal, self.vertical), strict=True)
        )

        def move(frames, example, fill=None):
            del fill  # nothing comes from outside
            return _flipped(
                frames,
                tf.gather(across, example) if self.horizontal else None,
                tf.gather(down, example) if self.vertical else None,
            )

        batch = swap_labels(batch, self.horizontal_swaps, across)
        batch = swap_labels(batch, self.vertical_swaps, down)
        return transform_batch(
            batch,
            _matrices(across, down, tf.cast(size, tf.float32)),
            min_visible=0.0,
            move_images=move,
            move_masks=move,
        )


class RandomReversal:
    """Plays clips backwards: the frames of an example in reverse order.

    Args:
        probability: Share of the clips that are, in [0, 1].
        swaps: Pairs of classes that turn into each other, such as "opening" and "closing".

    Raises:
        ValueError: If `probability` is out of range, or the pairs are none.

    Example:

    >>> reverse = RandomReversal(probability=1.0, swaps=[(0, 1)])
    >>> clip = tf.reshape(tf.constant([1, 2, 3], tf.uint8), (1, 3, 1, 1, 1))
    >>> batch = reverse({"video": clip, "label": tf.constant([0])}, tf.constant([0, 1]))
    >>> batch["video"].numpy().ravel().tolist(), batch["label"].numpy().tolist()
    ([3, 2, 1], [1])
    """

    def __init__(self, *, probability=0.5, swaps=()):
        check_share("probability", probability)
        self.probability = probability
        self.swaps = checked_pairs("swaps", swaps)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `video` (B, T, h, w, c) and perhaps `label` (B,) or (B, K).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its clips reversed and labels swapped.
        """
        videos = batch["video"]
        backwards = draw_events(seed, tf.shape(videos)[0], probability=self.probability)
        batch = swap_labels(batch, self.swaps, backwards)
        return {**batch, "video": _reversed(videos, backwards)}


def _matrices(across, down, size):
    zero, one = tf.zeros_like(across, tf.float32), tf.ones_like(across, tf.float32)
    x = [tf.where(across, -1.0, 1.0), zero, tf.where(across, size[1], 0.0)]
    y = [zero, tf.where(down, -1.0, 1.0), tf.where(down, size[0], 0.0)]
    return tf.reshape(tf.stack([*x, *y, zero, zero, one], axis=-1), (-1, 3, 3))


# Over 40 times faster than without XLA, where `tf.where` with uint8 is slow.
@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _flipped(frames, across, down):
    if across is not None:
        frames = tf.where(across[:, None, None, None], tf.reverse(frames, [2]), frames)
    if down is not None:
        frames = tf.where(down[:, None, None, None], tf.reverse(frames, [1]), frames)
    return frames


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _reversed(videos, backwards):
    return tf.where(backwards[:, None, None, None, None], tf.reverse(videos, [1]), videos)
