"""Random stacks of layers, whose receptive field is found by experiment."""

import keras
import numpy as np
from keras import layers

SIZE = {1: 180, 2: 60}


def random_stack(seed):
    """A model of sequences of 3 to 6 random steps or, every fourth, of images of 2 to 4."""
    draw = np.random.default_rng(seed)
    rank = 2 if seed % 4 == 3 else 1
    images = keras.Input((SIZE[rank],) * rank + (2,))
    x, steps = images, int(draw.integers(3, 7)) if rank == 1 else int(draw.integers(2, 5))
    while steps:
        y = _step(draw, rank)(x)
        if all(SIZE[rank] // 8 <= size <= 240 for size in y.shape[1:-1]):
            x, steps = y, steps - 1
    model = keras.Model(images, x)
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            # Positive, so that nothing that is read cancels out.
            weight.assign(draw.uniform(0.1, 1.0, weight.shape))
    return model


def _step(draw, rank):
    steps = (_convolution, _convolution, _pooling, _transposed, _upsampling, _ends, _branches)
    return steps[draw.integers(len(steps))](draw, rank)


def _layer(name, rank, *arguments, **options):
    return getattr(layers, name.format(rank))(*arguments, **options)


def _sizes(draw, rank, low, high):
    return tuple(int(n) for n in draw.integers(low, high + 1, rank))


def _padding(draw):
    return str(draw.choice(["same", "valid"]))


def _convolution(draw, rank):
    kernel, padding = _sizes(draw, rank, 1, 5), _padding(draw)
    if draw.random() < 0.4:
        padding = str(draw.choice([padding, "causal"])) if rank == 1 else padding
        dilation = _sizes(draw, rank, 1, 4)
        return _layer("Conv{}D", rank, 2, kernel, dilation_rate=dilation, padding=padding)
    stride = int(draw.integers(1, 4))
    kind = str(draw.choice(["Conv{}D", "SeparableConv{}D"]))
    return _layer(kind, rank, 2, kernel, strides=stride, padding=padding)


def _pooling(draw, rank):
    kind = str(draw.choice(["AveragePooling{}D", "MaxPooling{}D"]))
    pool, stride = int(draw.integers(2, 4)), int(draw.integers(1, 4))
    return _layer(kind, rank, pool, strides=stride, padding=_padding(draw))


def _transposed(draw, rank):
    kernel, stride = _sizes(draw, rank, 1, 5), int(draw.integers(1, 4))
    return _layer("Conv{}DTranspose", rank, 2, kernel, strides=stride, padding=_padding(draw))


def _upsampling(draw, rank):
    options = {"interpolation": str(draw.choice(["nearest", "bilinear"]))} if rank == 2 else {}
    return _layer("UpSampling{}D", rank, int(draw.integers(2, 4)), **options)


def _ends(draw, rank):
    kind = str(draw.choice(["ZeroPadding{}D", "Cropping{}D"]))
    ends = tuple((int(a), int(b)) for a, b in draw.integers(0, 4, (rank, 2)))
    return _layer(kind, rank, ends[0] if rank == 1 else ends)


def _branches(draw, rank):
    """Two branches whose windows lie at different places, added or side by side."""
    kernel = int(draw.integers(2, 6))
    before = int(draw.integers(0, kernel))
    crop = (before, kernel - 1 - before)
    other = int(draw.integers(1, 4))
    merge = layers.Add if draw.random() < 0.5 else layers.Concatenate

    def step(x):
        one = _layer("Conv{}D", rank, x.shape[-1], kernel)(x)
        two = _layer("Cropping{}D", rank, crop if rank == 1 else (crop,) * rank)(x)
        return merge()([one, _layer("Conv{}D", rank, x.shape[-1], other, padding="same")(two)])

    return step
