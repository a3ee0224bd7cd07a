"""Small networks to explain, some of them with known gradients."""

import keras
import numpy as np
from keras import layers


def convolutions(*, classes=3, size=(12, 16, 3), end=None, dtype=None, pooling=True):
    """Two convolutions, then global average pooling or flattening, and a dense layer."""
    images = keras.Input(size)
    x = layers.Rescaling(1 / 255, dtype=dtype)(images)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", dtype=dtype)(x)
    x = layers.Conv2D(8, 3, padding="same", name="last", dtype=dtype)(x)
    x = layers.ReLU(name="maps", dtype=dtype)(x)
    if pooling:
        x = layers.Dropout(0.5, name="dropped", dtype=dtype)(
            layers.GlobalAveragePooling2D(name="pool", dtype=dtype)(x)
        )
    else:
        x = layers.Flatten(dtype=dtype)(x)
    x = layers.Dense(classes, activation=end, name="scores", dtype=dtype)(x)
    return keras.Model(images, x, name="small")


def pixels(*shape):
    """Raw pixels 0..255, float32."""
    return np.random.default_rng(3).integers(0, 256, shape).astype("float32")


def maps_of(model, images, name="maps"):
    """A layer's output, as NumPy has it."""
    layer = model.get_layer(name)
    return keras.ops.convert_to_numpy(keras.Model(model.input, layer.output)(images))
