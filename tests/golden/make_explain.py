"""Golden file `explain.npz`: heat maps by pytorch-grad-cam and captum.

pip install grad-cam captum
"""

import captum
import numpy as np
import pytorch_grad_cam
import torch

from tests.golden.explain import (
    CLASSES,
    METHODS,
    NETWORKS,
    NOISE,
    SCALE,
    noise,
    pictures,
)
from tests.golden.make_classifiers import DEVIATION, MEAN, network


class FromPixels(torch.nn.Module):
    """The network behind the normalisation, so that gradients are by raw pixels."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        x = (pixels / 255 - MEAN[:, None, None]) / DEVIATION[:, None, None]
        return self.network(x)


def explained(model, layer, method, x):
    """The map at the layer's size, and what the peer returns, scaled and enlarged."""
    explainer = getattr(pytorch_grad_cam, method)(model, [layer])
    known = []
    original = explainer.get_cam_image

    def noted(*arguments, **options):
        known.append(original(*arguments, **options))
        return known[-1]

    explainer.get_cam_image = noted
    targets = [lambda scores, k=k: SCALE * scores[k] for k in CLASSES]
    enlarged = explainer(input_tensor=x, targets=targets)
    return np.maximum(known[0], 0).astype("float32"), enlarged.astype("float32")


def largest(slopes):
    """(B, C, H, W) gradients to the largest of the channels (B, H, W), float32."""
    return slopes.abs().amax(dim=1).numpy().astype("float32")


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    content = {"captum_version": captum.__version__}
    x = torch.from_numpy(pictures()).permute(0, 3, 1, 2)
    span = x.amax(dim=(1, 2, 3), keepdim=True) - x.amin(dim=(1, 2, 3), keepdim=True)
    for name, place in NETWORKS.items():
        inner, _ = network(name)
        for module in inner.modules():  # captum and hooks need each output as it was
            if hasattr(module, "inplace"):
                module.inplace = False
        model = FromPixels(inner).eval()
        layer = inner.get_submodule(place)
        for method, peer in METHODS.items():
            raw, enlarged = explained(model, layer, peer, x)
            content[f"{name}.{method}"] = raw
            if (name, method) == ("resnet18", "grad_cam"):
                content[f"{name}.{method}.enlarged"] = enlarged
            print(name, method, raw.shape, raw.max())
        if name == "mobilenet_v2":
            continue
        gradient = captum.attr.Saliency(model)
        target = torch.tensor(CLASSES)
        slopes = gradient.attribute(x.clone().requires_grad_(), target=target, abs=False)
        content[f"{name}.saliency"] = largest(slopes.detach())
        if name == "resnet18":
            total = 0
            for drawn in noise():
                noisy = x + NOISE * span * torch.from_numpy(drawn).permute(2, 0, 1)
                total = (
                    total
                    + gradient.attribute(noisy.requires_grad_(), target=target, abs=False).detach()
                )
            content[f"{name}.smooth_grad"] = largest(total / len(noise()))
    path = directory / "explain.npz"
    np.savez_compressed(path, **content)
    return path
