"""A small model and images for the tests of exports."""

import io

import keras
import numpy as np
from PIL import Image

from kerakit import export
from kerakit.data import Preparation

CLASSES = ("ant", "bée", "日本 cat")
PREPARATION = Preparation(height=12, width=16, channels=3)


def tiny_model():
    """Has what differs between training and answering: averages that matter, and dropout."""
    keras.utils.set_random_seed(7)
    images = keras.Input((12, 16, 3), name="images")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Flatten()(x)
    logits = keras.layers.Dense(3, kernel_initializer="random_normal", name="head")(x)
    model = keras.Model(images, logits, name="tiny")
    model.get_layer("norm").moving_mean.assign(np.linspace(-0.3, 0.3, 8))
    return model


def save_tiny(model, folder, **options):
    return export.save(model, folder, **{"preparation": PREPARATION, "classes": CLASSES, **options})


def encoded(height, width, *, mode="RGB", kind="PNG", seed=0):
    """A file of random pixels, written by Pillow."""
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, mode if mode == "CMYK" else None).save(file, kind)
    return file.getvalue()


def many(count):
    """Images of odd sizes: PNG and JPEG, grey and colour, in turn."""
    kinds = [("RGB", "JPEG"), ("L", "PNG"), ("L", "JPEG"), ("RGBA", "PNG"), ("RGB", "PNG")]
    return [
        encoded(5 + 7 * i % 31, 3 + 11 * i % 37, mode=kinds[i % 5][0], kind=kinds[i % 5][1], seed=i)
        for i in range(count)
    ]
