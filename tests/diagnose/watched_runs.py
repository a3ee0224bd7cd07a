"""Small trainings on the embedded digits, for the tests of the diagnosis."""

import functools

import keras
import numpy as np

from kerakit.data import load
from kerakit.diagnose.watch import Watch

layers = keras.layers


@functools.cache
def digits():
    """((x, y), (x, y)) of the 8 x 8 digits, 0..1, to learn and held out."""

    def arrays(source):
        records = [source.example(number) for number in range(source.size)]
        images = np.stack([np.asarray(record["image"])[..., :1] for record in records])
        return images.astype("float32") / 255, np.array([int(r["label"]) for r in records])

    data = load("digits")
    return arrays(data.train_source), arrays(data.val_source)


def conv_net(*, activation="relu", momentum=None, **options):
    """Two convolutions, with batch normalisation if it has a momentum."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, strides=2, padding="same", **options))
        if momentum is not None:
            model.add(layers.BatchNormalization(momentum=momentum))
        model.add(layers.Activation(activation))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return model


def dense_net(depth=2, activation="relu", *, units=32):
    hidden = [layers.Dense(units, activation=activation) for _ in range(depth)]
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *hidden, layers.Dense(10)])


def watched(model, *, optimizer=None, epochs=3, examples=None, loss=None, **options):
    """A training with a `Watch`; gives the watch."""
    (x, y), validation = digits()
    x, y = x[:examples], y[:examples]
    model.compile(
        optimizer or keras.optimizers.Adam(3e-3),
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    watch = Watch(x[:64], y[:64], **options)
    model.fit(
        x, y, validation_data=validation, epochs=epochs, batch_size=32, verbose=0,
        callbacks=[watch],
    )  # fmt: skip
    return watch
