"""A small patch classifier with each kind of layer that can move over an image."""

import keras
from keras import layers

from kerakit.layers import BatchNormalization, PaddedConv2D
from kerakit.models.flatten import flatten_channels_first


def patch_classifier(*, patch=(11, 12, 3), channels_first=False):
    """An untrained classifier of 5 classes whose windows lie 2 pixels apart."""
    images = keras.Input(patch)
    x = layers.Rescaling(1 / 255, name="normalization")(images)
    x = PaddedConv2D(6, 3, padding=0, name="conv1")(x)
    x = BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(4, 2, activation="tanh", name="conv2")(x)
    x = flatten_channels_first(x) if channels_first else layers.Flatten(name="flatten")(x)
    x = layers.Dense(7, activation="tanh", name="fc1")(x)
    logits = layers.Dense(5, dtype="float32", name="fc2")(x)
    return keras.Model(images, logits)
