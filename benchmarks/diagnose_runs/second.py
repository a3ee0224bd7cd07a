"""Training runs written without sight of the rules that are to diagnose them.

Each broken run has one fault, and its function takes what mends it as an argument: called
without, it plants the fault. The comments give what a plain `fit` showed (TensorFlow, two
cores): the training loss by epoch, the validation accuracy at the end, and the same mended.
The photographs are read from the folder that KERAKIT_DATA names.
"""

import functools
import os
import pathlib

import keras
import numpy as np
from keras import layers
from sklearn import datasets

from benchmarks.diagnose_runs.planned import PlannedRun
from kerakit.data import load
from kerakit.models.classification import resnet18, vit_ti_16

SPARSE = keras.losses.SparseCategoricalCrossentropy


@functools.cache
def digits():
    """Handwritten digits (8, 8, 3), 0..255: training and validation pairs."""
    data = load("digits")
    return _stacked(data.train), _stacked(data.val)


def _stacked(examples):
    images, labels = zip(
        *((e["image"], e["label"]) for e in examples.as_numpy_iterator()), strict=True
    )
    return np.stack(images).astype("float32"), np.array(labels, "int32")


@functools.cache
def signs(size=32):
    """Photographs of hands (size, size, 3), 0..255, shuffled: training and validation pairs."""
    root = pathlib.Path(os.environ["KERAKIT_DATA"], "classification-sign-digits")
    return _photographs(root / "train", size), _photographs(root / "val", size)


def _photographs(folder, size):
    files = keras.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=None, shuffle=False, verbose=False
    )
    images, labels = zip(*files.as_numpy_iterator(), strict=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return np.stack(images)[order], np.array(labels)[order]


def table(read, *, standardised=True):
    """A table of scikit-learn: training and validation pairs, every fourth row held out."""
    x, y = read(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32"), y[order].astype("int32")
    if standardised:
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    held_out = np.arange(len(x)) % 4 == 0
    return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])


def scaled(data, by=1 / 255, offset=0.0):
    """The same pairs with other pixels, by default in 0..1."""
    return tuple((x * by + offset, y) for x, y in data)


def compiled(model, optimizer, loss=None):
    """The model with the loss, by default cross entropy on logits, and accuracy."""
    model.compile(optimizer, loss or SPARSE(from_logits=True), metrics=["accuracy"])
    return model


def plan(model, data, *, epochs, batch_size=32):
    """What `PlannedRun.prepare` returns."""
    (x, y), validation = data
    fit = {"validation": validation, "epochs": epochs, "batch_size": batch_size}
    return {"model": model, "x": x, "y": y, **fit}


def dense_net(inputs, units, outputs, **options):
    """Flattened inputs through hidden layers, to logits."""
    hidden = [layers.Dense(n, **options) for n in units]
    return keras.Sequential([keras.Input(inputs), layers.Flatten(), *hidden, layers.Dense(outputs)])


def conv_net(size, filters, *, outputs=10, normal=True, last_bias=0.0, **options):
    """Plain 3 x 3 convolutions that halve the image, and global pooling, to logits."""
    options = {"strides": 2, "activation": "relu", "kernel_initializer": "he_normal", **options}
    first = [layers.Rescaling(1 / 127.5, -1)] if normal else []
    hidden = [layers.Conv2D(n, 3, padding="same", **options) for n in filters]
    last = layers.Dense(outputs, bias_initializer=keras.initializers.Constant(last_bias))
    pooled = layers.GlobalAveragePooling2D()
    return keras.Sequential([keras.Input((size, size, 3)), *first, *hidden, pooled, last])


def residual_block(x, filters, momentum):
    """Two convolutions with batch normalisation beside a projection; halves the image."""
    y = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization(momentum=momentum)(y))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=momentum)(y)
    x = layers.Conv2D(filters, 1, use_bias=False)(layers.AveragePooling2D(2)(x))
    return layers.ReLU()(layers.Add()([x, y]))


def residual_net(momentum=0.9):
    """Three residual blocks on photographs of 32 pixels, to ten logits."""
    images = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, -1)(images)
    for filters in (16, 32, 64):
        x = residual_block(x, filters, momentum)
    return keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


# Broken runs


def wine_classes(first=1):
    keras.utils.set_random_seed(1)
    (x, y), (val_x, val_y) = table(datasets.load_wine)
    data = (x, y + first), (val_x, val_y + first)
    model = dense_net((13,), [32], 3, activation="relu")
    return plan(compiled(model, keras.optimizers.Adam(0.01)), data, epochs=8, batch_size=16)


def probabilities_twice(again=True):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1)])
    model.add(layers.Conv2D(16, 3, padding="same", activation="tanh"))
    model.add(layers.AveragePooling2D(2))
    model.add(layers.Conv2D(32, 3, padding="same", activation="tanh"))
    model.add(layers.AveragePooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax"))
    if again:
        model.add(layers.Softmax())
    loss = "sparse_categorical_crossentropy"
    return plan(compiled(model, keras.optimizers.Adam(3e-3), loss), digits(), epochs=8)


def logits_as_probabilities(loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(3)
    model = resnet18(input_shape=(8, 8, 3), num_classes=10, stem="small", width=0.25)
    return plan(compiled(model, keras.optimizers.Adam(1e-3), loss), digits(), epochs=3)


def vgg_of_zeros(start="zeros"):
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((24, 24, 3)), layers.Rescaling(1 / 127.5, -1)])
    for filters in (16, 16, 0, 32, 32, 0, 64, 64):
        conv = functools.partial(layers.Conv2D, padding="same", kernel_initializer=start)
        model.add(conv(filters, 3, activation="relu") if filters else layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return plan(compiled(model, keras.optimizers.Adam(2e-3)), signs(24), epochs=5)


def unit_normal_weights(start=None):
    keras.utils.set_random_seed(5)
    start = start or keras.initializers.RandomNormal(stddev=1.0)
    model = dense_net((8, 8, 3), [200] * 4, 10, activation="relu", kernel_initializer=start)
    return plan(compiled(model, keras.optimizers.Adam(1e-3)), scaled(digits()), epochs=6)


def raw_wine(standardised=False):
    keras.utils.set_random_seed(6)
    model = dense_net((13,), [32, 16], 3, activation="relu")
    data = table(datasets.load_wine, standardised=standardised)
    return plan(compiled(model, keras.optimizers.SGD(0.03)), data, epochs=10, batch_size=16)


def raw_photographs(normal=False):
    keras.utils.set_random_seed(7)
    model = conv_net(32, (16, 32, 64), normal=normal)
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9, nesterov=True)
    return plan(compiled(model, optimizer), signs(), epochs=8)


def gates_open(bias=8.0):
    keras.utils.set_random_seed(8)
    start = keras.initializers.Constant(bias)
    model = dense_net((8, 8, 3), [64] * 3, 10, activation="sigmoid", bias_initializer=start)
    data = scaled(digits(), 1 / 127.5, -1)
    return plan(compiled(model, keras.optimizers.Adam(3e-3)), data, epochs=8)


def rare_nines(bias=0.0):
    keras.utils.set_random_seed(9)

    def rare(x, y):
        keep = (y != 9) | (np.cumsum(y == 9) <= np.sum(y == 9) // 5)
        return x[keep], (y[keep] == 9).astype("float32")

    train, validation = (rare(*pair) for pair in digits())
    model = conv_net(8, (16, 32), outputs=1, last_bias=bias)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(2e-3)
    return plan(compiled(model, optimizer, loss), (train, validation), epochs=10)


def wandering_flat(pool=layers.Flatten):
    keras.utils.set_random_seed(10)
    place = np.random.default_rng(0)

    def wander(x, y):
        canvas = np.zeros((len(x), 24, 24, 3), "float32")
        for image, digit, (top, left) in zip(
            canvas, x, place.integers(0, 17, (len(x), 2)), strict=True
        ):
            image[top : top + 8, left : left + 8] = digit
        return canvas, y

    model = keras.Sequential([keras.Input((24, 24, 3)), layers.Rescaling(1 / 255)])
    for filters, strides in ((16, 1), (32, 2), (64, 1)):
        conv = functools.partial(layers.Conv2D, padding="same", kernel_initializer="he_normal")
        model.add(conv(filters, 3, strides=strides, activation="relu"))
    model.add(pool())
    model.add(layers.Dense(128, "relu"))
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10))
    data = tuple(wander(*pair) for pair in digits())
    return plan(compiled(model, keras.optimizers.Adam(1e-3)), data, epochs=3)


def frozen_with_its_head(frozen=True):
    keras.utils.set_random_seed(12)
    model = resnet18(input_shape=(8, 8, 3), num_classes=10, stem="small", width=0.25)
    model.trainable = not frozen
    return plan(compiled(model, keras.optimizers.Adam(1e-3)), digits(), epochs=3)


def softmax_of_one(last="softmax"):
    keras.utils.set_random_seed(13)
    model = keras.Sequential([keras.Input((30,)), layers.Dense(32, "relu")])
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.Dense(1, last))
    data = table(datasets.load_breast_cancer)
    return plan(compiled(model, keras.optimizers.Adam(3e-3), "mse"), data, epochs=8)


def hasty_transformer(rate=0.1):
    keras.utils.set_random_seed(14)
    model = vit_ti_16(
        input_shape=(8, 8, 3), num_classes=10, patch_size=2, depth=2, width=1 / 3, pooling="mean"
    )
    return plan(compiled(model, keras.optimizers.Adam(rate)), digits(), epochs=5)


def timid_residual_net(rate=1e-6):
    keras.utils.set_random_seed(15)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4)
    return plan(compiled(residual_net(), optimizer), signs(), epochs=5)


def slow_statistics(momentum=0.9999):
    keras.utils.set_random_seed(16)
    optimizer = keras.optimizers.Adam(1e-3)
    return plan(compiled(residual_net(momentum), optimizer), signs(), epochs=4)


def recurrent_pixels(clipnorm=None, rate=0.01):
    keras.utils.set_random_seed(17)
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255)])
    model.add(layers.Reshape((64, 3)))
    model.add(layers.SimpleRNN(64, "relu", recurrent_initializer="identity"))
    model.add(layers.Dense(10))
    optimizer = keras.optimizers.SGD(rate, clipnorm=clipnorm)
    return plan(compiled(model, optimizer), digits(), epochs=8)


def deep_sigmoids(activation="sigmoid"):
    keras.utils.set_random_seed(18)
    model = dense_net((8, 8, 3), [64] * 9, 10, activation=activation)
    data = scaled(digits(), 1 / 127.5, -1)
    return plan(compiled(model, keras.optimizers.SGD(0.01, momentum=0.9)), data, epochs=8)


def rare_object_bias(bias=-4.6):
    keras.utils.set_random_seed(19)
    model = conv_net(32, (16, 32, 64), bias_initializer=keras.initializers.Constant(bias))
    return plan(compiled(model, keras.optimizers.Adam(2e-3)), signs(), epochs=6)


def few_photographs(count=60):
    keras.utils.set_random_seed(20)
    (x, y), validation = signs()
    data = (x[:count], y[:count]), validation
    model = conv_net(32, (32, 64, 128))
    return plan(compiled(model, keras.optimizers.Adam(2e-3)), data, epochs=20, batch_size=8)


def one_feature(units=1):
    keras.utils.set_random_seed(21)
    model = dense_net((8, 8, 3), [units], 10, activation="tanh")
    data = scaled(digits())
    return plan(compiled(model, keras.optimizers.Adam(0.01)), data, epochs=12, batch_size=16)


# Healthy runs


def warmed_resnet():
    keras.utils.set_random_seed(31)
    model = resnet18(input_shape=(8, 8, 3), num_classes=10, stem="small", width=0.25)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=200, warmup_target=3e-3, warmup_steps=50
    )
    return plan(compiled(model, keras.optimizers.AdamW(rate)), digits(), epochs=5)


def dropped_vgg():
    keras.utils.set_random_seed(32)
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 127.5, -1)])
    for filters in (16, 32, 64):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
            model.add(layers.BatchNormalization(momentum=0.9))
            model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10))
    return plan(compiled(model, keras.optimizers.Adam(2e-3)), signs(), epochs=5)


def digits_from_digits():
    keras.utils.set_random_seed(33)

    def some(first):
        return tuple((x[k], y[k] - first) for x, y in digits() for k in [(y // 5) == (first // 5)])

    source = conv_net(8, (16, 32, 64), outputs=5, strides=1)
    features = keras.Model(source.inputs, source.layers[-2].output)
    compiled(source, keras.optimizers.Adam(3e-3)).fit(*some(0)[0], epochs=5, verbose=0)
    features.trainable = False
    x = layers.Dropout(0.1)(features.output)
    model = keras.Model(features.input, layers.Dense(5)(x))
    return plan(compiled(model, keras.optimizers.Adam(0.01)), some(5), epochs=10, batch_size=16)


def tumours():
    keras.utils.set_random_seed(34)
    train, validation = table(datasets.load_breast_cancer, standardised=False)
    normal = layers.Normalization()
    normal.adapt(train[0])
    model = keras.Sequential([keras.Input((30,)), normal])
    model.add(layers.Dense(16, "tanh", kernel_regularizer=keras.regularizers.L2(1e-3)))
    model.add(layers.Dense(1, "sigmoid"))
    optimizer = keras.optimizers.Adam(3e-3)
    return plan(
        compiled(model, optimizer, "binary_crossentropy"),
        (train, validation),
        epochs=10,
        batch_size=16,
    )


def patient_transformer():
    return hasty_transformer(rate=1e-3)


def rare_nines_expected():
    return rare_nines(bias=-3.8)


RUNS = (
    # fit raises: label 3 is outside [0, 3); from 0: 0.73 0.18 .. 0.011, 98%.
    PlannedRun(
        name="wine_classes",
        fault="labels_out_of_range",
        why="Labels 1, 2, 3, as in the set's own file, for three outputs.",
        prepare=wine_classes,
    ),
    # 2.15 1.78 1.65 .. 1.54, 94%; one softmax: 1.56 0.64 0.41 .. 0.13, 98%.
    PlannedRun(
        name="probabilities_twice",
        fault="double_softmax",
        why="A softmax layer follows a layer that has a softmax.",
        prepare=probabilities_twice,
    ),
    # 3.85 2.20 1.99, 65% (3.11 in a fourth epoch); from logits: 0.88 0.12 0.03, 96%.
    PlannedRun(
        name="logits_as_probabilities",
        fault="double_softmax",
        why="A builder's logits go into a loss that expects probabilities.",
        prepare=logits_as_probabilities,
    ),
    # 2.30 throughout, 10%; he_normal: 2.31 1.88 1.02 0.50 0.37, 87% (both at 32 pixels).
    PlannedRun(
        name="vgg_of_zeros",
        fault="zero_initial_weights",
        why="Every hidden convolution of a VGG starts at zero.",
        prepare=vgg_of_zeros,
    ),
    # 1680 242 107 63 38 23, validation 71; he_normal: 0.76 0.16 .. 0.036, validation 0.091.
    PlannedRun(
        name="unit_normal_weights",
        fault="badly_scaled_initial_weights",
        why="Hidden weights of deviation 1 at fan-in 200: activations grow tenfold a layer.",
        prepare=unit_normal_weights,
    ),
    # 3030 1.10 1.10 .. 1.09, 42%; standardised: 1.15 0.86 .. 0.30, 96%.
    PlannedRun(
        name="raw_wine",
        fault="inputs_not_normalised",
        why="Features from 0.1 to 1,700 go into a plain net as they are.",
        prepare=raw_wine,
    ),
    # 1.8e22 2.31 2.31 .. 2.31, 10%; in -1..1: 2.30 2.20 1.95 .. 0.58, 79%.
    PlannedRun(
        name="raw_photographs",
        fault="inputs_not_normalised",
        why="Pixels 0..255 go into plain convolutions as they are.",
        prepare=raw_photographs,
    ),
    # 2.42 2.32 .. 2.33, 9%; bias 0: 2.20 1.56 .. 0.11, 96%.
    PlannedRun(
        name="gates_open",
        fault="saturating_activations",
        why="Sigmoid layers start with a bias of 8: every unit stands at 1.",
        prepare=gates_open,
    ),
    # 0.144 0.083 0.070 .. 0.026; bias -3.8: 0.092 0.064 0.049 .. 0.012.
    PlannedRun(
        name="rare_nines",
        fault="final_bias_ignores_balance",
        why="One example in fifty is positive, and the last bias starts at 0.",
        prepare=rare_nines,
    ),
    # 2.32 2.19 1.82, 27%; global max pooling, 33 thousand weights: 2.24 1.69 0.87, 89%.
    PlannedRun(
        name="wandering_flat",
        fault="flatten_dense_heavy",
        why="Digits anywhere on a canvas; 1.18 of 1.20 million weights stand behind a Flatten.",
        prepare=wandering_flat,
    ),
    # 2.32 throughout, 11%; not frozen: 0.88 0.12 0.03, 96%.
    PlannedRun(
        name="frozen_with_its_head",
        fault="cannot_overfit_one_batch",
        why="The whole model is frozen, its new head too.",
        prepare=frozen_with_its_head,
    ),
    # 0.369 throughout, 62%; sigmoid: 0.19 0.05 .. 0.02, 99%.
    PlannedRun(
        name="softmax_of_one",
        fault="cannot_overfit_one_batch",
        why="A softmax over one unit is 1 whatever the weights.",
        prepare=softmax_of_one,
    ),
    # 3.00 2.35 2.39 2.32 2.28, 13%; at 1e-3: 2.08 1.51 1.01 0.73 0.57, 85%.
    PlannedRun(
        name="hasty_transformer",
        fault="learning_rate_too_high",
        why="Adam at 0.1 on a small vision transformer.",
        prepare=hasty_transformer,
    ),
    # 2.46 throughout, 10%; Adam at 1e-3 (slow_statistics, mended): 1.90 0.97 .. 0.16, 85%.
    PlannedRun(
        name="timid_residual_net",
        fault="learning_rate_too_low",
        why="AdamW at 1e-6 on a residual net that starts from nothing.",
        prepare=timid_residual_net,
    ),
    # 1.90 0.97 0.51 0.29, validation 2.34, 13%; momentum 0.9: validation 0.53, 84%.
    PlannedRun(
        name="slow_statistics",
        fault="batch_norm_drift",
        why="Momentum 0.9999 in 204 steps: the moving statistics are still those of the start.",
        prepare=slow_statistics,
    ),
    # 5.6e13 2.30 .. 2.29, 8%; clipped at norm 1: 2.97 2.39 .. 1.63, 43%. A lower rate alone
    # does not mend it: 11.5 2.30 .. 2.17 at 1e-3, 2.98 2.34 .. 2.16 at 1e-4.
    PlannedRun(
        name="recurrent_pixels",
        fault="exploding_gradients",
        why="ReLU recurrence over 64 pixels from the identity, without clipping.",
        prepare=recurrent_pixels,
    ),
    # 2.37 2.33 .. 2.33, 9%; ReLU: 2.27 1.70 .. 0.13, 93%.
    PlannedRun(
        name="deep_sigmoids",
        fault="vanishing_gradients",
        why="Nine sigmoid layers under Keras's default start, with SGD.",
        prepare=deep_sigmoids,
    ),
    # 2.30 throughout, 10%; bias 0: 2.29 2.10 .. 0.94, 61% (both from glorot_uniform).
    PlannedRun(
        name="rare_object_bias",
        fault="dead_relus",
        why="Every convolution got the focal loss's bias of -4.6, meant for the last layer.",
        prepare=rare_object_bias,
    ),
    # 2.35 2.11 2.03 .. 0.03, validation 2.43, lowest 2.41, then 3.31, 30%.
    PlannedRun(
        name="few_photographs",
        fault="overfitting",
        why="60 photographs, 95 thousand weights, no regularisation.",
        prepare=few_photographs,
    ),
    # 2.02 1.83 1.77 .. 1.69, 20%; 32 units: 0.59 0.17 .. 0.01, 98%.
    PlannedRun(
        name="one_feature",
        fault="underfitting",
        why="Ten classes must pass through one hidden unit.",
        prepare=one_feature,
    ),
    # 1.26 0.24 0.09 0.03 0.006, validation 0.098, 98%.
    PlannedRun(
        name="warmed_resnet",
        fault=None,
        why="Residual net with warm-up and cosine decay.",
        prepare=warmed_resnet,
    ),
    # 1.71 0.71 0.38 0.24 0.16, validation 0.25, 94%.
    PlannedRun(
        name="dropped_vgg",
        fault=None,
        why="Photographs, batch normalisation and dropout.",
        prepare=dropped_vgg,
    ),
    # 1.89 1.27 1.02 .. 0.73, validation 0.57, 83%.
    PlannedRun(
        name="digits_from_digits",
        fault=None,
        why="Frozen features of digits 0 to 4, and a new head for 5 to 9.",
        prepare=digits_from_digits,
    ),
    # 0.45 0.22 .. 0.076, validation 0.078, 98%.
    PlannedRun(
        name="tumours",
        fault=None,
        why="A table normalised in the model, tanh units, a weight penalty.",
        prepare=tumours,
    ),
    # 2.08 1.51 1.01 0.73 0.57, validation 0.50, 85%.
    PlannedRun(
        name="patient_transformer",
        fault=None,
        why="Adam at 1e-3 on a small vision transformer.",
        prepare=patient_transformer,
    ),
    # 0.092 0.064 .. 0.012, validation 0.026, 99%.
    PlannedRun(
        name="rare_nines_expected",
        fault=None,
        why="One example in fifty is positive, and the last bias says so.",
        prepare=rare_nines_expected,
    ),
)
