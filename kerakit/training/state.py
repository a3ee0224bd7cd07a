"""What a training run is at one moment, in one file that is whole or absent."""

import hashlib
import io
import json
import pathlib
import typing

import keras
import numpy as np

from kerakit.atomic import replaced
from kerakit.errors import InputError

DIGEST = 32  # bytes of a SHA-256


class Progress(typing.NamedTuple):
    """How far a run has come: epochs finished, and whether a callback ended it."""

    epoch: int
    stopped: bool


def save_state(path, model, *, callbacks=(), progress):
    """Writes all that a run needs to go on: the file is replaced in one step.

    Kept are the model's variables (weights, moving statistics, random generators),
    the optimizer's (momenta, iteration, learning rate, loss scale, averages) and the
    state of each callback that has `get_state()`.

    Args:
        path: File to write: an `.npz` and, behind it, the SHA-256 of that.
        model: Compiled and built `keras.Model`.
        callbacks: Keras callbacks; those with `get_state()` and `set_state()` are kept.
        progress: The run's `Progress`.
    """
    arrays = {f"model/{i}": _plain(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer/{i}": _plain(v) for i, v in enumerate(_optimizer_variables(model))}
    stateful = _stateful(callbacks)
    record = {
        **progress._asdict(),
        "callbacks": _names(stateful),
        "states": [_pack(c.get_state(), arrays, f"callback/{i}") for i, c in enumerate(stateful)],
    }
    arrays["progress"] = np.array(json.dumps(record))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    with replaced(path) as file:
        file.write_bytes(content + hashlib.sha256(content).digest())


def restore_state(path, model, *, callbacks=()):
    """Puts a saved state back into the model, its optimizer and the callbacks.

    Args:
        path: File that `save_state` wrote.
        model: The same model, compiled with the same optimizer.
        callbacks: The same callbacks in the same order.

    Returns:
        The run's `Progress`.

    Raises:
        InputError: If the file is damaged or of another model, optimizer or callbacks.
    """
    data = pathlib.Path(path).read_bytes()
    content, digest = data[:-DIGEST], data[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise InputError(
            f"{path} is damaged: its checksum is not that of what it holds; "
            "remove it to train from the start."
        )
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    progress = json.loads(str(arrays["progress"]))
    stateful = _stateful(callbacks)
    if _names(stateful) != progress["callbacks"]:
        raise InputError(_other(path, "callbacks"))
    for kind, variables in (("model", model.variables), ("optimizer", _optimizer_variables(model))):
        values = [arrays[key] for key in arrays if key.startswith(f"{kind}/")]
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise InputError(_other(path, kind))
        for i, variable in enumerate(variables):
            variable.assign(arrays[f"{kind}/{i}"])
    for callback, state in zip(stateful, progress["states"], strict=True):
        callback.set_state(_unpack(state, arrays))
    return Progress(progress["epoch"], progress["stopped"])


def _optimizer_variables(model):
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return model.optimizer.variables


def _stateful(callbacks):
    return [c for c in callbacks if hasattr(c, "get_state") and hasattr(c, "set_state")]


def _names(callbacks):
    return [type(callback).__name__ for callback in callbacks]


def _other(path, what):
    return (
        f"{path} is of a run with other {what}: "
        "remove it, or give the run another name, to train from the start."
    )


def _plain(variable):
    """The variable in NumPy; bfloat16, of which a file loses the type, as float32."""
    array = keras.ops.convert_to_numpy(variable)
    return array.astype("float32") if variable.dtype == "bfloat16" else array


def _pack(value, arrays, key):
    """The value with each array moved into `arrays` and named in its place."""
    if isinstance(value, np.ndarray):
        arrays[key] = value
        return {"array": key}
    if isinstance(value, dict):
        return {"dict": {k: _pack(v, arrays, f"{key}/{k}") for k, v in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_pack(v, arrays, f"{key}/{i}") for i, v in enumerate(value)]}
    return {"value": value}


def _unpack(packed, arrays):
    ((kind, value),) = packed.items()
    if kind == "array":
        return arrays[value]
    if kind == "dict":
        return {k: _unpack(v, arrays) for k, v in value.items()}
    if kind == "list":
        return [_unpack(v, arrays) for v in value]
    return value
