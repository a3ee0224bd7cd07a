"""Golden file `classifiers.npz`: names, shapes and logits of torchvision's classifiers."""

import json

import numpy as np
import torch
import torchvision

from tests.golden import seeding
from tests.golden.classifiers import SIZES, pictures

MEAN, DEVIATION = (torch.tensor(x) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def network(name):
    """Torchvision's model in eval mode, and the shapes of its state dict, under seeded weights."""
    options = {"image_size": SIZES[name][0]} if name.startswith("vit") else {}
    if name == "googlenet":
        options = {"init_weights": False}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    shapes = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    values = {key: torch.from_numpy(x) for key, x in seeding.parameters(shapes).items()}
    model.load_state_dict(values, strict=False)
    return model, shapes


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    content = {"torchvision_version": torchvision.__version__}
    for name in SIZES:
        model, shapes = network(name)
        x = (torch.from_numpy(pictures(name)) / 255 - MEAN) / DEVIATION
        with torch.no_grad():
            content[f"{name}.logits"] = model(x.permute(0, 3, 1, 2)).numpy()
        content[f"{name}.shapes"] = json.dumps(shapes)
        print(name, np.abs(content[f"{name}.logits"]).max())
    path = directory / "classifiers.npz"
    np.savez_compressed(path, **content)
    return path
