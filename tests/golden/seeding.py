"""Weights and pictures that both sides of a comparison draw alike, by name."""

import hashlib
import math

import numpy as np


def generator(name):
    """A generator seeded by a text."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def parameter(name, shape):
    """Float32 values of one parameter or statistic, by PyTorch's name and shape.

    Of such sizes that signals keep theirs through a deep network, and that no scale is 1 and no
    offset 0, so that one left out would show.
    """
    draw, last = generator(name), name.rpartition(".")[2]
    if last == "running_var" or (last == "weight" and len(shape) == 1):
        value = draw.uniform(0.5, 1.0, shape)
    elif len(shape) < 2:
        value = draw.normal(0, 0.1, shape)
    else:
        value = draw.normal(0, math.sqrt(1.5 / math.prod(shape[1:])), shape)
    return value.astype("float32")


def parameters(shapes):
    """Name -> values, for a dict from PyTorch's names to shapes."""
    return {name: parameter(name, tuple(shape)) for name, shape in shapes.items()}


def pictures(shape):
    """Whole-numbered pixels 0..255, float32, channels last."""
    return generator(f"pictures {shape}").integers(0, 256, shape).astype("float32")
