"""Handwritten digits that move: the embedded set of clips."""

import numpy as np
import tensorflow as tf

from kerakit.data.clip_source import IndexedClips
from kerakit.data.digit_scenes import Enlarged
from kerakit.data.digits import load_digits
from kerakit.data.source import Data

SIDE = 32
FRAMES = 8
# Class -> step of one frame to the next, (down, right), in units of the speed.
DIRECTIONS = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "still": (0, 0), "up": (-1, 0)}
_SIZES = {"train": 2000, "val": 400}
_DIGIT_SIDES = (12, 18)
_SPEEDS = (1, 3)


def load_moving_digits():
    """2,000 clips to learn from and 400 held out, 8 frames of 32 x 32, of a digit that moves.

    The class is the direction. A digit of the embedded set, 12 to 18 pixels high and of a colour
    of its own, moves 1 to 3 pixels a frame over dark noise; what leaves the frame comes in on the
    other side. It begins at a uniform place, so that in each frame its place is uniform whatever
    the class: a single frame tells nothing of it. Clips held out have only digits that are held
    out in `digits`. A clip is a function of its part and number alone.

    Returns:
        `Data` with the classes "down", "left", "right", "still" and "up", as many clips each.
    """
    digits = load_digits()
    pools = {"train": digits.train_source, "val": digits.val_source}
    sources = {part: _source(part, pool) for part, pool in pools.items()}
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=tuple(DIRECTIONS),
        name="moving-digits",
        task="video",
        licence=digits.licence,
        citation=digits.citation,
    )


def _source(part, pool):
    digits = [example["image"][..., 0] for example in pool.dataset().as_numpy_iterator()]
    enlarged, count = Enlarged(np.stack(digits) / np.float32(255)), _SIZES[part]
    labels = np.arange(count) % len(DIRECTIONS)
    drawn = [
        _draws(enlarged, np.random.default_rng([list(_SIZES).index(part), number]))
        for number in range(count)
    ]
    noise, ink, colour, start, speed = (np.stack(values) for values in zip(*drawn, strict=True))
    step = speed[:, None] * np.array(list(DIRECTIONS.values()))[labels]
    table = [tf.constant(values, tf.int32) for values in (noise, ink, colour, start, step)]

    def frames(index, chosen):
        return moving_digit(*(values[index] for values in table), chosen)

    return IndexedClips(np.full(count, FRAMES), labels, frames)


def _draws(enlarged, rng):
    """Whole numbers, so that the pictures are the same on every machine."""
    noise = rng.uniform(0, 70, 3) + rng.normal(0, 12, (SIDE, SIDE, 1))
    digit, side = rng.integers(len(enlarged.ink)), rng.integers(*_DIGIT_SIDES, endpoint=True)
    ink = np.zeros((SIDE, SIDE))
    ink[:side, :side] = 255 * enlarged(digit, side)
    colour, start = rng.integers(120, 256, 3), rng.integers(0, SIDE, 2)
    speed = rng.integers(*_SPEEDS, endpoint=True)
    return (
        np.clip(noise, 0, 255).astype(np.uint8),
        np.rint(ink).astype(np.uint8),
        colour,
        start,
        speed,
    )


def moving_digit(noise, ink, colour, start, step, times):
    """Frames of a clip: `noise + ink (colour - noise) / 255`, the ink moved and wrapped around.

    Args:
        noise: int32 (h, w, 3), 0..255.
        ink: int32 (h, w), 0..255: the digit at the top left.
        colour: int32 (3,), 0..255.
        start: int32 (2,), rows and columns by which the ink is moved at time 0.
        step: int32 (2,), by which it moves in a unit of time.
        times: int32 (T,).

    Returns:
        uint8 (T, h, w, 3).

    Example:

    >>> ink, black = tf.constant([[255, 0, 0]]), tf.zeros((1, 3, 3), tf.int32)
    >>> white, still, right = tf.fill((3,), 255), tf.constant([0, 0]), tf.constant([0, 1])
    >>> moving_digit(black, ink, white, still, right, tf.range(4))[:, 0, :, 0].numpy().tolist()
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 0]]
    """
    shift = start + times[:, None] * step
    rows = (tf.range(ink.shape[0]) - shift[:, :1]) % ink.shape[0]
    columns = (tf.range(ink.shape[1]) - shift[:, 1:]) % ink.shape[1]
    moved = tf.gather(tf.gather(ink, rows), columns, axis=2, batch_dims=1)[..., None]
    return tf.cast(noise + (moved * (colour - noise) + 127) // 255, tf.uint8)
