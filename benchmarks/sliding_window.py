"""Every window of an image by a patch classifier, and the same scores by its convolution.

python -m benchmarks.sliding_window [--rounds 9] [--json FILE]

A classifier of 28 x 28 patches (two 5 x 5 convolutions, each with 2 x 2 pooling, and two dense
layers: LeNet's size, unpadded) on images of 128 x 128, every fourth pixel: 676 windows. Both are
`predict_on_batch` without XLA, and MACs are those of `kerakit.cost`. The windows' largest
difference from the convolution is printed first: the work is the same.

On two cores beside other work, 2026-11-24, median of 9: the convolution takes 3.2 ms, 0.10 of the
windows' 32 ms, and 0.107 GMAC an image against 1.066.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from benchmarks.alternate import alternate, command_line, report
from kerakit import cost
from kerakit.models.segmentation import as_convolution, sliding_window

BATCH, SIZE, PATCH, STRIDE, CLASSES = 2, 128, 28, 4, 10


def classifier():
    return keras.Sequential(
        [
            keras.Input((PATCH, PATCH, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def main():
    options = command_line(__doc__.splitlines()[0]).parse_args()
    patches, shape = classifier(), (SIZE, SIZE, 3)
    models = {
        "convolution": as_convolution(patches, input_shape=shape),
        "sliding window": sliding_window(patches, input_shape=shape, strides=STRIDE),
    }
    images = np.random.default_rng(0).uniform(0, 255, (BATCH, *shape)).astype("float32")
    scores = []
    for model in models.values():
        model.compile(jit_compile=False)
        scores.append(np.asarray(model.predict_on_batch(images)))
    difference = np.abs(scores[0] - scores[1]).max() / np.abs(scores[1]).max()
    windows = scores[1].shape[1] * scores[1].shape[2]
    gmacs = {name: cost.report(model).macs / 1e9 for name, model in models.items()}
    print(f"{windows} windows an image; largest difference {difference:.1e} of the largest score")
    print(", ".join(f"{name} {figure:.3f} GMAC" for name, figure in gmacs.items()))
    contestants = {
        name: lambda model=model: model.predict_on_batch(images) for name, model in models.items()
    }
    work = f"{BATCH} x {SIZE} x {SIZE}, {windows} windows each"
    comparison = alternate(work, contestants, rounds=options.rounds)
    report([comparison], json_file=options.json, gmacs=gmacs, difference=float(difference))


if __name__ == "__main__":
    main()
