"""Reads the arrays of a PyTorch checkpoint without PyTorch, and nothing but arrays."""

import collections
import io
import math
import pickle
import struct
import zipfile
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from kerakit.errors import InputError

# The storage classes by which a checkpoint names the type of its numbers.
_DTYPES = {
    "DoubleStorage": np.dtype("float64"),
    "FloatStorage": np.dtype("float32"),
    "HalfStorage": np.dtype("float16"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("int64"),
    "IntStorage": np.dtype("int32"),
    "ShortStorage": np.dtype("int16"),
    "CharStorage": np.dtype("int8"),
    "ByteStorage": np.dtype("uint8"),
    "BoolStorage": np.dtype("bool"),
}
# First number of a file in the format before PyTorch 1.6, in which some of torchvision's
# checkpoints still are.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read_torch_file(path):
    """The arrays of a checkpoint that `torch.save` wrote.

    A checkpoint is a pickle, and unpickling runs whatever code the file asks for. This reader
    knows the handful of names that tensors in containers need, and refuses a file at the
    first other name; no code of the file is run, and PyTorch is not needed.

    Args:
        path: `pathlib.Path` of a `.pth` or `.pt` file, in PyTorch's zip format or the one
            before version 1.6. It holds a dict of tensors, or a dict with such a dict under
            `"state_dict"` or `"model"`.

    Returns:
        Dict from PyTorch's names to NumPy arrays.

    Raises:
        InputError: If the file is damaged, holds anything but tensors and plain values, or no
            dict of tensors.
    """
    try:
        with open(path, "rb") as file:
            content = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(file)
    except _RefusedError as error:
        raise InputError(
            f"{path} holds {error}, and only tensors in dicts are loaded from a checkpoint: "
            "save `model.state_dict()` alone."
        ) from error
    except Exception as error:  # what a damaged pickle raises can be anything
        raise InputError(
            f"{path} is no PyTorch checkpoint, or a damaged one "
            f"({type(error).__name__}: {str(error)[:100]})."
        ) from error
    return _state_dict(content, path)


class _RefusedError(Exception):
    """The file asks for something else than tensors."""


@dataclass
class _Storage:
    dtype: np.dtype
    size: int
    values: np.ndarray | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, made an array when all storages are read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self):
        values = self.storage.values
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, values.dtype)
        last = self.offset + sum(
            (n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)
        )
        # The numbers come from the file: a view must not leave what was read.
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= len(values):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_):
    return tensor


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Builds tensors and plain containers, and nothing else."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"`{module}.{name}`")
        return _ALLOWED[module, name]

    def persistent_load(self, saved):
        kind, dtype, key, _, size, *view = saved
        if kind != "storage" or not isinstance(dtype, np.dtype) or any(view):
            raise _RefusedError(f"a reference of the kind {kind!r}")
        return self.storages.setdefault(str(key), _Storage(dtype, int(size)))


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])))
        content = unpickler.load()
        for key, storage in unpickler.storages.items():
            _fill(storage, archive.read(f"{folder}data/{key}"), order.decode())
    return content


def _read_legacy(file):
    if _Unpickler(file).load() != _LEGACY_MAGIC or _Unpickler(file).load() != _LEGACY_PROTOCOL:
        raise ValueError("it does not begin as one")
    order = "little" if _Unpickler(file).load()["little_endian"] else "big"
    unpickler = _Unpickler(file)
    content = unpickler.load()
    for key in _Unpickler(file).load():
        storage = unpickler.storages[str(key)]
        (size,) = struct.unpack("<q" if order == "little" else ">q", file.read(8))
        if size != storage.size:
            raise ValueError("a storage has another size than its tensors say")
        _fill(storage, file.read(size * storage.dtype.itemsize), order)
    return content


def _fill(storage, data, byte_order):
    dtype = storage.dtype.newbyteorder("<" if byte_order == "little" else ">")
    storage.values = np.frombuffer(data, dtype)
    if len(storage.values) != storage.size:
        raise ValueError("it ends early")


def _state_dict(content, path):
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    is_tensors = isinstance(content, dict) and any(isinstance(v, _Tensor) for v in content.values())
    if not is_tensors:
        raise InputError(f"{path} holds no dict of tensors; save `model.state_dict()`.")
    try:
        return {name: v.array() for name, v in content.items() if isinstance(v, _Tensor)}
    except ValueError as error:
        raise InputError(f"{path} is a damaged PyTorch checkpoint ({error}).") from error
