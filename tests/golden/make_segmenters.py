"""Golden file `segmenters.npz`: names, shapes and logits of other libraries' segmenters."""

import json

import numpy as np
import segmentation_models_pytorch
import torch
import torchvision

from tests.golden import seeding
from tests.golden.make_classifiers import DEVIATION, MEAN
from tests.golden.segmenters import CLASSES, EVERY, SIZES, pictures


def network(name):
    """The peer's model in eval mode, and the shapes of its state dict, under seeded weights."""
    if name.startswith("unet_"):
        model = segmentation_models_pytorch.Unet(
            name.removeprefix("unet_"), encoder_weights=None, classes=CLASSES
        )
    else:
        model = torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
        )
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
    content = {
        "torchvision_version": torchvision.__version__,
        "segmentation_models_pytorch_version": segmentation_models_pytorch.__version__,
    }
    for name in SIZES:
        model, shapes = network(name)
        x = (torch.from_numpy(pictures(name)) / 255 - MEAN) / DEVIATION
        with torch.no_grad():
            answer = model(x.permute(0, 3, 1, 2))
        answer = answer if isinstance(answer, dict) else {"out": answer}
        for key, output in answer.items():
            output = output.permute(0, 2, 3, 1).numpy()
            key = "logits" if key == "out" else key
            content[f"{name}.{key}"] = output[:, ::EVERY, ::EVERY]
            print(name, key, output.shape, np.abs(output).max(), np.ptp(output))
        content[f"{name}.shapes"] = json.dumps(shapes)
    path = directory / "segmenters.npz"
    np.savez_compressed(path, **content)
    return path
