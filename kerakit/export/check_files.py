"""The files that an export is verified with: images, or clips of frames, and broken ones."""

import numpy as np
import tensorflow as tf

BATCHES = (1, 3, 17)


def checks_of(given, asked, *, in_tiles=False):
    """What an export is asked in each check.

    Args:
        given: Encoded images, or clips of encoded frames, to check besides.
        asked: `Images` or `Clips`.
        in_tiles: Whether to ask for an image that is larger than the model's input.

    Returns:
        Lists of encoded images, or of clips of encoded frames, by the check's name.
    """
    draw = np.random.default_rng(0)
    one, frames = asked.one, asked.shape[0] if asked.one == "clip" else 0

    def image(height, width, channels):
        return draw.integers(0, 256, (height, width, channels), dtype=np.uint8)

    def encode(index, height, width):
        if index % 2:
            return tf.io.encode_png(image(height, width, (3, 1, 4)[index // 2 % 3])).numpy()
        return tf.io.encode_jpeg(image(height, width, (3, 1)[index // 2 % 2])).numpy()

    def example(make):
        return [make(number) for number in range(frames)] if frames else make(0)

    many = [
        example(lambda frame, i=i: encode(i + frame, *draw.integers(3, 97, 2)))
        for i in range(max(BATCHES))
    ]
    checks = {f"{size} {one}{'s' if size > 1 else ''}": many[:size] for size in BATCHES}
    checks[f"1 x 1 {one}"] = [example(lambda _: tf.io.encode_png(image(1, 1, 3)).numpy())]
    black = tf.io.encode_jpeg(np.zeros((33, 21, 3), np.uint8)).numpy()
    checks[f"black {one}"] = [example(lambda _: black)]
    if in_tiles:
        height, width = asked.shape[:2]
        large = image(height * 2 - 5, width + 3, 3)
        checks["image of several tiles"] = [tf.io.encode_png(large).numpy()]
    for first in range(0, len(given), max(BATCHES)):
        checks[f"given {one}s from {first}"] = given[first : first + max(BATCHES)]
    return checks


def broken_files(asked):
    """What an export has to refuse, by its name: encoded images, or clips of encoded frames."""
    jpeg = tf.io.encode_jpeg(np.zeros((32, 32, 3), np.uint8)).numpy()
    files = {"empty file": b"", "text": b"This is no image.", "half a JPEG": jpeg[: len(jpeg) // 2]}
    if asked.one == "image":
        return files
    frames = asked.shape[0]
    clips = {f"clip with one {name}": [jpeg] * (frames - 1) + [f] for name, f in files.items()}
    return {**clips, "clip with a frame too many": [jpeg] * (frames + 1)}
