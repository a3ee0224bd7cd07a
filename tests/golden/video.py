"""The networks of clips that PyTorch has too, and the clips they are shown."""

import functools
import json

import numpy as np

from tests.golden import seeding
from tests.golden.regenerate import DIRECTORY

# Case -> network, T, H, W and, of C3D, the factor on its width and whether it has norms.
# Sizes are small, and odd ones show where windows lie.
CASES = {
    "r3d_18": ("r3d_18", (8, 56, 56), {}),
    "r3d_18_odd": ("r3d_18", (7, 45, 51), {}),
    "mc3_18": ("mc3_18", (8, 56, 56), {}),
    "mc3_18_odd": ("mc3_18", (5, 45, 51), {}),
    "r2plus1d_18": ("r2plus1d_18", (8, 56, 56), {}),
    "r2plus1d_18_odd": ("r2plus1d_18", (7, 45, 51), {}),
    "c3d": ("c3d", (16, 112, 112), {}),
    "c3d_narrow": ("c3d", (17, 70, 86), {"width": 0.125}),
    "c3d_narrow_bn": ("c3d", (16, 48, 64), {"width": 0.125, "batch_norm": True}),
}
CLASSES = {"c3d": 101}  # all others 400


def clips(case):
    """(2, T, H, W, 3) pixels 0..255."""
    return seeding.pictures((2, *CASES[case][1], 3))


@functools.cache
def _file():
    with np.load(DIRECTORY / "video.npz") as file:
        return dict(file)


def checkpoint(case):
    """PyTorch's parameters and statistics by its names, as the golden run had them."""
    return seeding.parameters(json.loads(str(_file()[f"{case}.shapes"])))


def logits(case):
    """(2, K) float32: what PyTorch's network answers."""
    return _file()[f"{case}.logits"]
