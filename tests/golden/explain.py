"""Networks whose heat maps PyTorch's explainers gave, with the pictures and classes."""

import functools

import numpy as np

from tests.golden import classifiers, seeding
from tests.golden.regenerate import DIRECTORY

# Network -> name of the last map in PyTorch.
NETWORKS = {"resnet18": "layer4", "vgg11": "features.19", "mobilenet_v2": "features.18"}
METHODS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "hires_cam": "HiResCAM",
}
CLASSES = (3, 7)
# Grad-CAM++ there adds 1e-6 to squared gradients; with these scores it is nothing beside them.
SCALE = 1000.0
NOISE, SAMPLES = 0.1, 3


def pictures():
    """(2, H, W, 3) pixels 0..255, with more than one place in every last map."""
    return seeding.pictures((2, 96, 128, 3))


def noise():
    """(SAMPLES, H, W, 3) float32, standard normal, as `smooth_grad` draws it with seed 0."""
    draw = np.random.default_rng(0)
    return [draw.standard_normal(pictures().shape[1:], "float32") for _ in range(SAMPLES)]


checkpoint = classifiers.checkpoint


@functools.cache
def _file():
    with np.load(DIRECTORY / "explain.npz") as file:
        return dict(file)


def golden(network, name):
    """What the peer gave: "saliency", "smooth_grad", or a method's raw or enlarged map."""
    return _file()[f"{network}.{name}"]
