"""The segmenters that torchvision and segmentation_models_pytorch have too, and their pictures."""

import functools
import json

import numpy as np

from tests.golden import seeding
from tests.golden.regenerate import DIRECTORY

CLASSES = 3
# Name -> height and width. Odd where the net allows; U-Net on ResNet needs multiples of 32.
SIZES = {"fcn_resnet50": (97, 65), "fcn_resnet101": (49, 40), "unet_resnet18": (64, 96)}
# Of the answers only every third row and column is stored: of 8 pixels a cell, each in turn.
EVERY = 3


def pictures(name):
    """(1, H, W, 3) pixels 0..255."""
    return seeding.pictures((1, *SIZES[name], 3))


@functools.cache
def _file():
    with np.load(DIRECTORY / "segmenters.npz") as file:
        return dict(file)


def checkpoint(name):
    """The peer's parameters and statistics by its names, as the golden run had them."""
    return seeding.parameters(json.loads(str(_file()[f"{name}.shapes"])))


def answer(name, output="logits"):
    """(1, h, w, 3) float32: what the peer answers at every third row and column."""
    return _file()[f"{name}.{output}"]
