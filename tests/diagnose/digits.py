"""Small networks for the 1,797 digits, with a place for each fault."""

import keras
import numpy as np
from keras import layers


def images(scale=16.0):
    """Digits as (500, 8, 8, 1) floats of 0 to 1, and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images[:500, ..., None] / scale).astype("float32"), digits.target[:500]


def compiled(model, *, loss=None, optimizer="adam"):
    """The model, compiled for logits."""
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    return model


def network(*, activation="relu", start="he_normal", hidden=1, last=None, front=(), norm=False):
    """A convolution, a pooling, a convolution, dense layers and ten outputs."""
    parts = [keras.Input((8, 8, 1)), *front]
    for filters in (16, 32):
        options = {"padding": "same", "kernel_initializer": start}
        if norm:
            parts += [layers.Conv2D(filters, 3, use_bias=False, **options)]
            parts += [layers.BatchNormalization(), layers.Activation(activation)]
        else:
            parts.append(layers.Conv2D(filters, 3, activation=activation, **options))
        parts.append(layers.MaxPooling2D())
    parts.append(layers.Flatten())
    for _ in range(hidden):
        parts.append(layers.Dense(64, activation=activation, kernel_initializer=start))
    return keras.Sequential([*parts, layers.Dense(10, activation=last)])


def one_hot(labels):
    """Labels as rows of ten."""
    return np.eye(10, dtype="float32")[labels]
