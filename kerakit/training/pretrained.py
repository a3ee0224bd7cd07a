"""The body of a network that was trained for other classes."""

import pathlib
import warnings
import zipfile

import keras

from kerakit.errors import InputError
from kerakit.weights import load_torchvision

TORCHVISION = (".pth", ".pt", ".safetensors", ".npz")


def load_body(path, model):
    """Loads all weights but the last layer's, which keeps its own.

    Args:
        path: A checkpoint of torchvision (`.pth`, `.safetensors`, `.npz`), or the `.keras` file
            of an earlier run of the same network, whatever its classes.
        model: `keras.Model` of `kerakit.models.classification`.

    Raises:
        InputError: If the file is not there, is no such file, or is of another network.
    """
    path = pathlib.Path(path)
    if path.suffix not in (*TORCHVISION, ".keras"):
        raise InputError(f"--weights {path} must end in {', '.join(TORCHVISION)} or .keras.")
    if not path.is_file():
        raise InputError(f"--weights {path} does not exist, or is no file.")
    if path.suffix != ".keras":
        load_torchvision(model, path, head=False)
        return
    earlier, wanted = _body_weights(_loaded(path)), _body_weights(model)
    if [(w.path, w.shape) for w in earlier] != [(w.path, w.shape) for w in wanted]:
        raise InputError(
            f"--weights {path} does not fit {model.name}: its layers are others; give the --model "
            "and the --width that it was trained with."
        )
    for variable, value in zip(wanted, earlier, strict=True):
        variable.assign(value)


def _loaded(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"--weights {path} cannot be loaded ({reason}).") from error


def _body_weights(model):
    return model.weights[: len(model.weights) - len(model.layers[-1].weights)]
