"""The runs on which the diagnosis was built: its thresholds were set to these.

Handwritten digits of 8 x 8, values 0..16 as they are scanned, and nets of a few thousand weights:
each run takes seconds.
"""

import functools

import keras
import numpy as np
from keras import layers

from benchmarks.diagnose_runs.planned import PlannedRun
from kerakit.models import classification


@functools.cache
def digits():
    """((x, y), (x, y)): images (N, 8, 8, 1) float32 in 0..1 and their classes, to learn and held
    out."""
    from kerakit.data import load

    def arrays(source):
        records = [source.example(number) for number in range(source.size)]
        images = np.stack([np.asarray(record["image"])[..., :1] for record in records])
        return images.astype("float32") / 255, np.array([int(r["label"]) for r in records])

    data = load("digits")
    return arrays(data.train_source), arrays(data.val_source)


def run(model, *, rate=1e-3, optimizer=None, loss=None, epochs=8, data=None, batch_size=32):
    """What `PlannedRun.prepare` returns, with the defaults of a run that is in order."""
    (x, y), validation = data or digits()
    model.compile(
        optimizer or keras.optimizers.Adam(rate),
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return {
        "model": model, "x": x, "y": y, "validation": validation, "epochs": epochs,
        "batch_size": batch_size,
    }  # fmt: skip


def conv_net(*, inputs=(8, 8, 1), first=(), activation="relu", last=None, **convolution):
    """Two convolutions, pooling over the map, ten logits."""
    options = {"padding": "same", "activation": activation, **convolution}
    return keras.Sequential(
        [
            keras.Input(inputs), *first,
            layers.Conv2D(16, 3, **options), layers.Conv2D(32, 3, strides=2, **options),
            layers.Conv2D(64, 3, strides=2, **options), layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation=last),
        ]
    )  # fmt: skip


def dense_net(depth, activation, *, units=32, **options):
    hidden = [layers.Dense(units, activation=activation, **options) for _ in range(depth)]
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *hidden, layers.Dense(10)])


def labels_from_one():
    settings = run(conv_net())
    settings["y"] = settings["y"] + 1
    settings["validation"] = (settings["validation"][0], settings["validation"][1] + 1)
    return settings


def pixels_as_scanned():
    (x, y), (val_x, val_y) = digits()
    return run(dense_net(2, "relu", units=64), data=((255 * x, y), (255 * val_x, val_y)))


def sigmoids_driven_to_their_ends():
    start = keras.initializers.RandomNormal(stddev=3.0)
    return run(dense_net(3, "sigmoid", units=64, kernel_initializer=start))


def dead():
    return run(conv_net(bias_initializer=keras.initializers.Constant(-4.0)))


def killed_by_norms_of_few():
    """Norms whose averages hardly move, so that testing uses those of the start."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9999))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return run(model, rate=3e-3)


def few_examples():
    (x, y), validation = digits()
    data = (x[:40], y[:40]), validation
    return run(dense_net(2, "relu", units=512), rate=3e-3, data=data, epochs=20, batch_size=8)


def too_small():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="relu"),
         layers.Dense(10)]
    )  # fmt: skip
    return run(model, rate=3e-3, epochs=15)


def rare_class():
    """Is it a 3? One in 80 is, in training and held out."""

    def rare(x, y):
        keep = (y != 3) | (np.cumsum(y == 3) % 9 == 1)
        return x[keep], (y[keep] == 3).astype("float32")

    net = conv_net()
    net.pop()
    model = keras.Sequential([keras.Input((8, 8, 1)), *net.layers, layers.Dense(1)])
    data = tuple(rare(*part) for part in digits())
    return run(model, loss=keras.losses.BinaryCrossentropy(from_logits=True), data=data)


def much_in_one_layer():
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)), layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"), layers.Flatten(),
            layers.Dense(128, activation="relu"), layers.Dense(10),
        ]
    )  # fmt: skip
    (x, y), (val_x, val_y) = digits()
    larger = [np.repeat(np.repeat(images, 4, 1), 4, 2) for images in (x, val_x)]
    return run(model, data=((larger[0], y), (larger[1], val_y)), epochs=2)


def nothing_learns():
    model = conv_net()
    model.trainable = False
    return run(model, epochs=4)


def residual():
    model = classification.resnet18(
        input_shape=(8, 8, 1), num_classes=10, stem="small", width=0.125,
        normalization="image_max",
    )  # fmt: skip
    steps = 8 * 45
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - 45, warmup_target=0.05, warmup_steps=45
    )
    return run(model, optimizer=keras.optimizers.SGD(rate, momentum=0.9), epochs=8)


def with_dropout():
    model = conv_net(first=(layers.GaussianNoise(0.05),))
    last = model.layers[-1]
    model.pop()
    model.add(layers.Dropout(0.3))
    model.add(last)
    return run(model, rate=3e-3)


def frozen_body():
    """Learnt on the digits 0 to 4, then a new last layer on 5 to 9."""
    (x, y), (val_x, val_y) = digits()
    body = conv_net()
    first = run(body, data=((x[y < 5], y[y < 5]), (val_x[val_y < 5], val_y[val_y < 5])), rate=3e-3)
    body.fit(first["x"], first["y"], epochs=6, verbose=0)
    body.pop()
    body.trainable = False
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, layers.Dense(5)(body(images, training=False)))
    data = (x[y >= 5], y[y >= 5] - 5), (val_x[val_y >= 5], val_y[val_y >= 5] - 5)
    return run(model, rate=3e-2, data=data)


def normal_start(deviation):
    return keras.initializers.RandomNormal(stddev=deviation)


def broken(fault, why, prepare):
    return PlannedRun(name=why, fault=fault, why=why, prepare=prepare)


RUNS = (
    broken("labels_out_of_range", "digits 1 to 10 for ten classes", labels_from_one),
    broken(
        "double_softmax",
        "softmax at the end and in the loss",
        lambda: run(conv_net(last="softmax")),
    ),
    broken(
        "double_softmax",
        "logits taken for probabilities",
        lambda: run(conv_net(), loss=keras.losses.SparseCategoricalCrossentropy()),
    ),
    broken(
        "zero_initial_weights",
        "hidden weights start at 0",
        lambda: run(dense_net(2, "relu", kernel_initializer="zeros")),
    ),
    broken(
        "badly_scaled_initial_weights",
        "a normal of 0.01 through eight layers",
        lambda: run(dense_net(8, "relu", kernel_initializer=normal_start(0.01))),
    ),
    broken(
        "badly_scaled_initial_weights",
        "a normal of 1 through five layers",
        lambda: run(dense_net(5, "relu", units=64, kernel_initializer=normal_start(1.0))),
    ),
    broken("inputs_not_normalised", "pixels 0..255 into dense layers", pixels_as_scanned),
    broken("saturating_activations", "sigmoids at their ends", sigmoids_driven_to_their_ends),
    broken(
        "vanishing_gradients",
        "ten layers of sigmoids",
        lambda: run(dense_net(10, "sigmoid")),
    ),
    broken("dead_relus", "biases of -4 before ReLUs", dead),
    broken(
        "learning_rate_too_high",
        "SGD at 5",
        lambda: run(conv_net(), optimizer=keras.optimizers.SGD(5.0, momentum=0.9)),
    ),
    broken("learning_rate_too_high", "Adam at 0.3", lambda: run(conv_net(), rate=0.3)),
    broken("learning_rate_too_low", "Adam at 1e-7", lambda: run(conv_net(), rate=1e-7)),
    broken("batch_norm_drift", "a momentum of 0.9999", killed_by_norms_of_few),
    broken("overfitting", "40 images, 300,000 weights", few_examples),
    broken("underfitting", "two hidden units", too_small),
    broken("final_bias_ignores_balance", "1 of 80 is of the class", rare_class),
    broken("flatten_dense_heavy", "all weights behind Flatten", much_in_one_layer),
    broken("cannot_overfit_one_batch", "everything frozen", nothing_learns),
    PlannedRun("a plain conv net", None, "healthy", lambda: run(conv_net(), rate=3e-3)),
    PlannedRun("a dense net", None, "healthy", lambda: run(dense_net(2, "relu", units=64))),
    PlannedRun("a ResNet, warm-up and cosine", None, "healthy", residual),
    PlannedRun("dropout and noise", None, "healthy", with_dropout),
    PlannedRun("a new last layer on a frozen body", None, "healthy", frozen_body),
)
