"""Parts for computer vision in Keras 3, and what recipes need around them."""

import importlib
import pathlib
import sys

__version__ = "0.1.0"

# These need TensorFlow, which a user of the parts on another backend may not want to load.
_TENSORFLOW = ("augment", "data", "export", "runs", "serve", "training")

__all__ = [
    "activations",
    "augment",
    "callbacks",
    "cost",
    "data",
    "diagnose",
    "explain",
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
    "serve",
    "training",
    "weights",
]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"kerakit.{name}")
    raise AttributeError(f"module 'kerakit' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])


# A `.keras` file that holds parts loads after `import kerakit`: their classes are registered
# by being imported. Only the command line goes without, so that its help needs no Keras.
if pathlib.Path(sys.argv[0]).name != "kerakit" and sys.orig_argv[1:3] != ["-m", "kerakit"]:
    for _name in __all__:
        if _name not in _TENSORFLOW:
            importlib.import_module(f"kerakit.{_name}")
