"""Cases of the golden file of detection's parts: what is drawn for them."""

from pathlib import Path

import numpy as np

from tests.golden.seeding import generator

FILE = Path(__file__).with_suffix(".npz")

IMAGE = (96, 128)  # height and width
SMALL_IMAGE = (40, 50)
PYRAMID = ((24, 32), (12, 16), (6, 8))  # at 1/4, 1/8 and 1/16
ODD_PYRAMID = ((13, 19), (7, 10), (4, 5))  # each half of the one before, rounded up
CHANNELS = (2, 3, 4)
# Name -> options of `roi_align` in both libraries' words.
ALIGNED = {
    "align": {"output_size": (7, 7), "sampling_ratio": 2, "aligned": False},
    "align_shifted": {"output_size": (7, 7), "sampling_ratio": 2, "aligned": True},
    "align_uneven": {"output_size": (3, 5), "sampling_ratio": 3, "aligned": False},
    "align_once": {"output_size": (2, 2), "sampling_ratio": 1, "aligned": True},
}
POOLED = {"pool": (7, 7), "pool_uneven": (2, 5)}
MATCHERS = {
    "match_rpn": {"high": 0.7, "low": 0.3, "allow_low_quality": True},
    "match_box": {"high": 0.5, "low": 0.5, "allow_low_quality": False},
}
WEIGHTS = {"code": (1.0, 1.0, 1.0, 1.0), "code_weighted": (10.0, 10.0, 5.0, 5.0)}
ANCHORS = {
    "anchors": {"sizes": ((32,), (64,), (128,)), "aspect_ratios": (0.5, 1.0, 2.0)},
    "anchors_many": {"sizes": ((9, 15), (33,), (65, 21)), "aspect_ratios": (0.4, 1.0, 2.5)},
}


def drawn(name, shape):
    """Standard normal numbers, float32, the same for a name on every machine."""
    return generator(name).normal(size=shape).astype("float32")


def boxes(name, count, *, batch=2):
    """(batch, count, 4) of all sizes: some over the image's border, some small."""
    height, width = IMAGE
    low, shape = np.array([-0.1 * width, -0.1 * height]), (batch, count, 2)
    corner = low + (np.abs(drawn(f"{name}.corner", shape)) % 1) * (width, height)
    side = np.exp(drawn(f"{name}.side", shape)) * 20
    return np.concatenate([corner, corner + side], axis=-1).astype("float32")


def crowded_boxes(name, count):
    """(1, count, 4) around few places, and scores with many that are equal."""
    middle = boxes(name, 6, batch=1)[0][np.arange(count) % 6]
    moved = middle + drawn(f"{name}.moved", (count, 4)) * 3
    scores = np.round(np.abs(drawn(f"{name}.scores", (1, count))) % 1, 1)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
    return moved[None].astype("float32"), scores.astype("float32")


def maps(name, sizes, channels):
    """(2, H, W, C) of each level."""
    return [
        drawn(f"{name}.{level}", (2, *size, count))
        for level, (size, count) in enumerate(zip(sizes, channels, strict=True))
    ]


def masks(name, count):
    """(1, count, H, W) of discs, 0 or 1."""
    y, x = np.mgrid[: IMAGE[0], : IMAGE[1]]
    x1, y1, x2, y2 = np.moveaxis(boxes(name, count, batch=1)[0], -1, 0)[..., None, None]
    across, down = (x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)
    return (across**2 + down**2 < 0.25)[None].astype("uint8")


def inside(found):
    """Boxes cut off at the image."""
    height, width = IMAGE
    return np.clip(found, 0, [width, height, width, height]).astype("float32")


def golden(name):
    """What torchvision made of a case."""
    with np.load(FILE) as arrays:
        assert np.array_equal(drawn("check", (8,)), arrays["check"]), (
            "NumPy draws other numbers: python -m tests.golden.regenerate detection"
        )
        return arrays[name]
