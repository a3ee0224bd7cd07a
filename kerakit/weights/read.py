"""One door to the arrays of a checkpoint, whatever file they are in."""

import os
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

from kerakit.errors import InputError
from kerakit.extras import need
from kerakit.weights.torch_file import read_torch_file


def read_arrays(source):
    """Names and arrays of a checkpoint.

    Args:
        source: Path of a `.pth` or `.pt` file (read without PyTorch, and nothing but tensors:
            see `kerakit.weights.torch_file`), of a `.safetensors` file (extra `weights`) or of
            an `.npz` file; or a mapping from names to arrays, such as a `state_dict()`.

    Returns:
        Dict from names to NumPy arrays, floats of 16 bits and more made float32.

    Raises:
        InputError: If the file is missing, of another kind, damaged, or holds anything but
            arrays.

    Example:

    >>> read_arrays({"fc.bias": np.zeros(3)})["fc.bias"].shape
    (3,)
    """
    if isinstance(source, Mapping):
        arrays = {name: np.asarray(value) for name, value in source.items()}
    elif isinstance(source, str | os.PathLike):
        arrays = _read_file(pathlib.Path(source))
    else:
        raise InputError(
            "`source` must be a path or a mapping from names to arrays, "
            f"got {type(source).__name__}."
        )
    return {name: _as_float32(value) for name, value in arrays.items()}


def _read_file(path):
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError(f"{path} must end in {', '.join(_READERS)}.")
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file.")
    return reader(path)


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no .npz file of plain arrays ({error}).") from error


def _read_safetensors(path):
    safetensors = need("safetensors", extra="weights")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{path} is no safetensors file, or damaged ({error}).") from error


def _as_float32(value):
    is_float = value.dtype.kind == "f" or str(value.dtype) == "bfloat16"
    return value.astype("float32") if is_float else value


_READERS = {
    ".pth": read_torch_file,
    ".pt": read_torch_file,
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
}
