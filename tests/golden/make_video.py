"""Golden file `video.npz`: names, shapes and logits of PyTorch's networks of clips."""

import json

import numpy as np
import torch
import torchvision
from torch import nn

from tests.golden import seeding
from tests.golden.video import CASES, CLASSES, clips

MEAN = torch.tensor((0.43216, 0.394666, 0.37645))
DEVIATION = torch.tensor((0.22803, 0.22145, 0.216989))


class C3D(nn.Module):
    """The network of Tran et al. 2015, Fig. 3, at torch's own padding of the fifth pooling."""

    def __init__(self, size, *, width=1.0, batch_norm=False):
        super().__init__()
        filters = [round(width * n) for n in (64, 128, 256, 256, 512, 512, 512, 512)]
        names = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
        for name, before, after in zip(names, [3, *filters], filters, strict=False):
            self.add_module(f"conv{name}", nn.Conv3d(before, after, 3, padding=1))
            if batch_norm:
                self.add_module(f"bn{name}", nn.BatchNorm3d(after))
        features = self.features(torch.zeros(1, 3, *size)).shape[1]
        hidden = round(width * 4096)
        self.fc6 = nn.Linear(features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, CLASSES["c3d"])

    def features(self, x):
        modules = dict(self.named_children())
        for block in (("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b")):
            for name in block:
                x = modules[f"conv{name}"](x)
                x = modules.get(f"bn{name}", nn.Identity())(x).relu()
            window = (1, 2, 2) if block == ("1a",) else 2
            border = (0, 1, 1) if "5a" in block else 0
            x = nn.functional.max_pool3d(x, window, padding=border)
        return x.flatten(1)

    def forward(self, x):
        return self.fc8(self.fc7(self.fc6(self.features(x)).relu()).relu())


def network(case):
    """PyTorch's network in eval mode, and the shapes of its state dict, under seeded weights."""
    name, size, options = CASES[case]
    model = C3D(size, **options) if name == "c3d" else torchvision.models.get_model(name)
    shapes = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    values = {key: torch.from_numpy(x) for key, x in seeding.parameters(shapes).items()}
    model.load_state_dict(values, strict=False)
    return model.eval(), shapes


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    content = {"torchvision_version": torchvision.__version__}
    for case in CASES:
        model, shapes = network(case)
        x = (torch.from_numpy(clips(case)) / 255 - MEAN) / DEVIATION
        with torch.no_grad():
            content[f"{case}.logits"] = model(x.permute(0, 4, 1, 2, 3)).numpy()
        content[f"{case}.shapes"] = json.dumps(shapes)
        print(case, np.abs(content[f"{case}.logits"]).max())
    path = directory / "video.npz"
    np.savez_compressed(path, **content)
    return path
