"""The handwritten digits that come with kerakit."""

import pathlib

import numpy as np
import tensorflow as tf

from kerakit.data.source import Data, IndexedSource

_FILE = pathlib.Path(__file__).with_name("digits.npz")
_HELD_OUT = 360


def load_digits():
    """The 1,797 digits of the UCI set that scikit-learn ships, 360 of them held out.

    Which ones are held out is fixed (`numpy.random.default_rng(0).permutation`, the first 360)
    so that every figure about these digits is about the same images.

    Returns:
        `Data` with classes "0" to "9"; images are (8, 8, 3) uint8, ink white on black, the
        file's values 0..16 spread over 0..255.
    """
    with np.load(_FILE) as file:
        ink, labels = file["images"], file["labels"].astype(np.int32)
    grey = np.rint(ink * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(grey))
    return Data(
        train_source=_source(grey, labels, order[_HELD_OUT:]),
        val_source=_source(grey, labels, order[:_HELD_OUT]),
        classes=tuple(str(digit) for digit in range(10)),
        name="digits",
        licence="CC BY 4.0",
        citation=(
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine "
            "Learning Repository, 1998, "
            "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits"
        ),
    )


def _source(grey, labels, chosen):
    images = tf.constant(np.repeat(grey[chosen][..., None], 3, axis=-1))
    labels = tf.constant(labels[chosen])

    def example(index):
        example_id = tf.cast(index, tf.int32)
        return {"image": images[index], "label": labels[index], "example_id": example_id}

    return IndexedSource(len(chosen), example)


def write_digits():
    """Makes `digits.npz` from scikit-learn's copy of the set; run once, kept for the record."""
    from sklearn.datasets import load_digits as read

    digits = read()
    np.savez_compressed(
        _FILE, images=digits.images.astype(np.uint8), labels=digits.target.astype(np.uint8)
    )
