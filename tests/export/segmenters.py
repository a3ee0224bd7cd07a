"""Small segmenters and images for the tests of whole images."""

from typing import ClassVar

import keras
import numpy as np

CLASSES = ("background", "bée", "cell")
# By how many pixels of the input, at most, a pixel of the answer is away from what it depends on:
# 1 by each of three convolutions, of which one is at half the size, and 1 by the pooling's grid.
RADIUS, STRIDE = 5, 2


class Spied(keras.layers.Layer):
    """Notes the shapes that a network was traced or called with."""

    shapes: ClassVar = set()  # of all of them

    def call(self, x):
        Spied.shapes.add(tuple(x.shape))
        return x

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def segmenter(padding="same", *, channels=3, auxiliary=False, norm=False, size=(None, None)):
    """Three convolutions with a pooling between, from pixels to logits of 3 classes."""
    keras.utils.set_random_seed(5)
    options = {"padding": padding, "activation": "relu"}
    images = keras.Input((*size, channels))
    x = keras.layers.Rescaling(1 / 255)(Spied()(images))
    if norm:
        x = keras.layers.Conv2D(3, 1, name="before_norm")(x)
        x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(6, 3, **options)(x)
    x = keras.layers.Conv2D(6, 3, **options)(keras.layers.MaxPooling2D(2)(x))
    head = keras.initializers.RandomNormal(stddev=1.0)
    x = keras.layers.UpSampling2D(2)(x)
    logits = keras.layers.Conv2D(3, 3, padding=padding, kernel_initializer=head, name="head")(x)
    if not auxiliary:
        return keras.Model(images, logits, name="segmenter")
    aux = keras.layers.Conv2D(3, 1, name="aux_head")(x)
    return keras.Model(images, {"logits": logits, "aux": aux}, name="segmenter")


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def softmax(logits):
    shares = np.exp(np.asarray(logits, "float64"))
    return shares / shares.sum(axis=-1, keepdims=True)
