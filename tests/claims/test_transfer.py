"""What the sheet says of transfer learning, on digits."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

STAGES = ("early", "middle", "late")


def network(classes):
    images = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 16)(images)
    x = layers.Conv2D(16, 3, activation="relu", name="early")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(32, activation="relu", name="middle")(x)
    x = layers.Dense(16, activation="relu", name="late")(x)
    return keras.Model(images, layers.Dense(classes, name="scores")(x))


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8, 1).astype("float32"), labels


def trained(model, images, labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(images, labels, epochs=15, verbose=0)
    return model


def probe(features, labels, learnt):
    """Accuracy of a linear classifier of features that learns from the first so many rows."""
    model = RidgeClassifier().fit(features[:learnt], labels[:learnt])
    return model.score(features[learnt:], labels[learnt:])


def features(model, stage, images):
    part = keras.Model(model.inputs, model.get_layer(stage).output)
    return part.predict(images, verbose=0).reshape(len(images), -1)


def test_early_layers_are_general_and_late_ones_of_the_task(digits):
    """A linear classifier tells the digits it learnt apart the better, the later the layer whose
    features it is given, and other digits the worse.
    """
    images, labels = digits
    pretrained = trained(network(5), images[labels < 5], labels[labels < 5])
    old, new = (
        [
            probe(features(pretrained, stage, images[chosen]), labels[chosen], 450)
            for stage in STAGES
        ]
        for chosen in (labels < 5, labels >= 5)
    )
    print("seen digits", np.round(old, 3), "others", np.round(new, 3))
    assert old[0] < old[2]
    assert new[0] > new[1] > new[2]
    assert new[0] - new[2] > 0.1
