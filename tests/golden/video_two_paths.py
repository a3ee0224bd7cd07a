"""The I3D and SlowFast networks that pytorchvideo has too, and the clips they are shown."""

import functools
import json

import numpy as np

from tests.golden import seeding
from tests.golden.regenerate import DIRECTORY

# Name -> T, H and W. Small ones, under pooling windows of the size of the last map; and the
# published windows on a map that is larger than they are, 7 x 8 cells.
SIZES = {
    "i3d": (8, 64, 96),
    "i3d_windows": (10, 224, 256),
    "slowfast_r50_4x16": (32, 64, 96),
    "slowfast_r50_8x8": (32, 64, 96),
    "slowfast_r50_8x8_short": (16, 64, 64),
    "slowfast_r50_4x16_windows": (32, 224, 256),
    "slowfast_r50_8x8_windows": (32, 224, 256),
}
# Frames of clips whose slow frames are stored.
LENGTHS = range(8, 129, 8)
ALPHAS = (2, 4, 8)


def clips(name):
    """(1, T, H, W, 3) pixels 0..255."""
    return seeding.pictures((1, *SIZES[name], 3))


@functools.cache
def _file():
    with np.load(DIRECTORY / "video_two_paths.npz") as file:
        return dict(file)


def checkpoint(name):
    """pytorchvideo's parameters and statistics by its names, as the golden run had them."""
    return seeding.parameters(json.loads(str(_file()[f"{name}.shapes"])))


def parameters(name):
    """How many trainable parameters pytorchvideo's network has."""
    return int(_file()[f"{name}.parameters"])


def logits(name):
    """(1, 400) float32: what pytorchvideo's network answers."""
    return _file()[f"{name}.logits"]


def slow_frames(frames, alpha):
    """Indices that pytorchvideo's transform for SlowFast takes."""
    return _file()[f"slow_frames.{frames}.{alpha}"]
