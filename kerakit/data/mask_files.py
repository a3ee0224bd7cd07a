"""Files of masks: read with Pillow, checked and counted before training."""

import concurrent.futures
import os

import numpy as np
import tensorflow as tf

from kerakit.data.decode import SIGNATURES
from kerakit.data.prepare import IGNORE
from kerakit.extras import need

# What a mode of Pillow's holds one id a pixel in: grey, or places in a palette.
_MODES = ("L", "P", "1")


class MaskError(Exception):
    """What is wrong with a file of a mask, without its name."""


def read_mask(path, *, ignore=None):
    """The class ids of a mask.

    Args:
        path: A PNG (or another file without loss) of 8 bits a pixel, grey or with a palette,
            of which the places count, not the colours.
        ignore: Id that means "no class"; it becomes 255. None: 255 alone means so.

    Returns:
        uint8 (H, W).

    Raises:
        MaskError: If it is no such file.
    """
    pillow = need("PIL.Image", extra="plot")
    try:
        with open(path, "rb") as file:
            head = file.read(26)
        with pillow.open(path) as image:
            mode = image.mode
            ids = np.array(image) if mode in _MODES else None
    except FileNotFoundError:
        raise MaskError("there is no such file") from None
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise MaskError(f"it cannot be read ({error})") from error
    if head.startswith(SIGNATURES["PNG"]) and head[24] in (2, 4) and head[25] == 0:
        # Pillow stretches these to 0..255, and the last id would become 255, ignore.
        raise MaskError(f"it is a grey PNG of {head[24]} bits a pixel; write it with 8")
    if ids is None:
        raise MaskError(
            f"it holds colours or numbers of more than 8 bits (Pillow's mode {mode}), where each "
            "pixel must be one class id, grey or of a palette"
        )
    ids = ids.astype(np.uint8)
    return ids if ignore is None else np.where(ids == ignore, np.uint8(IGNORE), ids)


def mask_reader(paths, *, ignore=None):
    """Function, traced into the graph, from a scalar int64 index to a mask uint8 (H, W).

    Args:
        paths: N paths.
        ignore: As of `read_mask`.

    Returns:
        The function; it calls Pillow, so that palettes are right, which TensorFlow's decoder
        turns into grey values.
    """
    paths = [str(path) for path in paths]

    def read(index):
        mask = tf.numpy_function(
            lambda number: read_mask(paths[number], ignore=ignore), [index], tf.uint8
        )
        return tf.ensure_shape(mask, (None, None))

    return read


def checked_masks(paths, sizes, *, num_classes, ignore=None):
    """Reads all masks, in parallel.

    Args:
        paths: N paths of masks.
        sizes: (N, 2) height and width of their images, as they are shown.
        num_classes: K.
        ignore: As of `read_mask`.

    Returns:
        Dict from places of bad masks to what is wrong with them, and int64 (N, K + 1) pixels of
        each class, last those to be ignored; a bad mask has none.
    """
    pixels = np.zeros((len(paths), num_classes + 1), np.int64)

    def check(place):
        try:
            mask = read_mask(paths[place], ignore=ignore)
        except MaskError as error:
            return str(error)
        (height, width), (rows, columns) = sizes[place], mask.shape
        if (rows, columns) != (height, width):
            return f"it is {columns} wide and {rows} high, and its image {width} and {height}"
        counted = np.bincount(mask.ravel(), minlength=256)
        beyond = np.flatnonzero(counted[:IGNORE])
        beyond = beyond[beyond >= num_classes]
        if len(beyond):
            return (
                f"it has the class id {beyond[0]} in {counted[beyond[0]]} pixels, and there are "
                f"{num_classes} classes, 0 to {num_classes - 1} ({IGNORE}: ignore)"
            )
        pixels[place] = [*counted[:num_classes], counted[IGNORE]]
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = list(pool.map(check, range(len(paths))))
    return {place: fault for place, fault in enumerate(faults) if fault is not None}, pixels
