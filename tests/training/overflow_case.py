"""Half precision on two replicas, of which the second one's gradients overflow; see the test.

Prints, as JSON, by how much the weights moved in a step with an overflow, and in one without.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from kerakit import training
from tests.training.replica_case import two_devices


def main():
    two_devices()
    place = training.Place("mirrored", "mixed_float16")
    model = place.made(lambda: keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]))
    with place.scope():
        model.compile(keras.optimizers.SGD(0.1), "mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(4.0)
    moved = []
    for largest in (6e4, 1.0):
        x = np.ones((4, 3), "float32")
        x[3] = largest
        before = model.get_weights()
        model.fit(tf.data.Dataset.from_tensors((x, np.zeros((4, 2), "float32"))), verbose=0)
        moved.append(
            max(np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True))
        )
    print(json.dumps([float(value) for value in moved]))


if __name__ == "__main__":
    main()
