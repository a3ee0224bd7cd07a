"""What the sheet says of augmentation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from kerakit.augment import RandomAffine


def accuracy_on_turned_digits(augmented):
    """Of a small CNN, on digits that are turned and scaled, after training on upright ones."""
    keras.utils.set_random_seed(2)
    images, labels = load_digits(return_X_y=True)
    images = tf.constant(images.reshape(-1, 8, 8, 1), tf.float32)
    turn = RandomAffine(rotation=40, zoom=0.25)
    turned = turn({"image": images[1200:]}, seed=(0, 1))["image"]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    upright = {"image": images[:1200]}
    forms = [turn(upright, seed=(1, i)) if augmented else upright for i in range(12)]
    shown = np.concatenate([form["image"] for form in forms])
    model.fit(shown, np.tile(labels[:1200], 12), epochs=1, verbose=0)
    return model.evaluate(turned, labels[1200:], verbose=0)[1]


@pytest.mark.slow
def test_robustness_to_rotation_and_scale_needs_augmentation():
    """Both are shown as many images: one each digit 12 times, the other 12 forms of it."""
    upright, augmented = (accuracy_on_turned_digits(a) for a in (False, True))
    print(f"{upright:.3f} without, {augmented:.3f} with")
    assert augmented > upright + 0.1
