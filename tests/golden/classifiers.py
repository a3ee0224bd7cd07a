"""The classifiers that torchvision has too, and the pictures they are shown."""

import functools
import json

import numpy as np

from tests.golden import seeding
from tests.golden.regenerate import DIRECTORY

# Name -> side of the pictures. All but AlexNet's and ViT's pooling take any size, so small ones
# do, not square where the network allows.
SIZES = {
    "alexnet": (95, 127),
    **{f"vgg{depth}{bn}": (64, 96) for depth in (11, 13, 16, 19) for bn in ("", "_bn")},
    "googlenet": (64, 96),
    **{f"resnet{depth}": (64, 96) for depth in (18, 34, 50, 101, 152)},
    **{f"densenet{depth}": (64, 96) for depth in (121, 169, 201)},
    "mobilenet_v2": (64, 96),
    "vit_b_16": (64, 64),
    "vit_b_32": (64, 64),
}


def pictures(name):
    """(2, H, W, 3) pixels 0..255."""
    return seeding.pictures((2, *SIZES[name], 3))


@functools.cache
def _file():
    with np.load(DIRECTORY / "classifiers.npz") as file:
        return dict(file)


def checkpoint(name):
    """Torchvision's parameters and statistics by its names, as the golden run had them."""
    return seeding.parameters(json.loads(str(_file()[f"{name}.shapes"])))


def logits(name):
    """(2, 1000) float32: what torchvision's network answers."""
    return _file()[f"{name}.logits"]
