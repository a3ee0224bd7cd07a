"""Golden file `augment.npz`: what torchvision's functions make of fixed images."""

import numpy as np
import torch
import torchvision
from torchvision.transforms.v2 import functional

from tests.golden.augment import COLOR_CASES, CROP_CASES, images


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    results = {}
    for name, image in images().items():
        tensor = torch.tensor(image).permute(2, 0, 1)
        for case, (function, options) in COLOR_CASES.items():
            results[f"{case}/{name}"] = getattr(functional, function)(tensor, **options)
        for case, (window, size) in CROP_CASES.items():
            # In float32: its uint8 path has weights of 16 bits and rounds between the axes.
            results[f"{case}/{name}"] = functional.resized_crop(
                tensor.float(), *window, list(size), antialias=True
            )
    path = directory / "augment.npz"
    np.savez_compressed(
        path,
        torchvision_version=torchvision.__version__,
        **{case: result.permute(1, 2, 0).numpy() for case, result in results.items()},
    )
    return path
