"""Parts for computer vision in Keras 3, and what recipes need around them."""

import importlib

from kerakit import (
    activations,
    callbacks,
    gradients,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    schedules,
)

__version__ = "0.1.0"

# These need TensorFlow, which a user of the parts on another backend may not want to load.
_TENSORFLOW = ("augment", "data", "export", "runs", "training")

__all__ = [
    "activations",
    "augment",
    "callbacks",
    "data",
    "export",
    "gradients",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "runs",
    "schedules",
    "training",
]


def __getattr__(name):
    if name in _TENSORFLOW:
        return importlib.import_module(f"kerakit.{name}")
    raise AttributeError(f"module 'kerakit' has no attribute {name!r}")
