"""What a training run is at one moment, in a file that is whole or absent, and the one before."""

import hashlib
import io
import json
import os
import pathlib
import typing
import warnings

import keras
import numpy as np

from kerakit.atomic import replaced
from kerakit.errors import InputError
from kerakit.training.multi_worker import Workers

DIGEST = 32  # bytes of a SHA-256


class Progress(typing.NamedTuple):
    """How far a run has come.

    Args:
        epoch: Epochs finished.
        step: Steps of the next epoch made.
        stopped: Whether a callback ended it.
    """

    epoch: int = 0
    step: int = 0
    stopped: bool = False


def save_state(path, model, *, callbacks=(), progress, keep=2):
    """Writes all that a run needs to go on; the states before stand beside it, numbered.

    Kept are the model's variables (weights, moving statistics, random generators), the
    optimizer's (momenta, iteration, learning rate, loss scale, averages), the metrics' (an
    epoch's figures so far) and the state of each callback that has `get_state()`. At every
    moment, also if the disk is full or the power fails, there is a whole file. Of several
    workers all have to call it; the chief writes.

    Args:
        path: File to write: an `.npz` and, behind it, the SHA-256 of that.
        model: Compiled and built `keras.Model`.
        callbacks: Keras callbacks; those with `get_state()` and `set_state()` are kept.
        progress: The run's `Progress`.
        keep: States to keep, this one among them; those before are `state.1.ckpt`, ...

    Raises:
        InputError: If the file cannot be written.
    """
    arrays = {f"model/{i}": _plain(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer/{name}": _wide(v) for name, v in _optimizer_state(model).items()}
    # Between two epochs the figures are over, and large ones (a detector's) are mostly of zeros.
    figures = [_plain(v) for v in _figures(model)] if progress.step else []
    arrays |= {f"figure/{i}": array for i, array in enumerate(figures) if array.any()}
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
    path = pathlib.Path(path)
    if not Workers(model).is_chief:
        return  # it has read, as all must, what replicas have to tell each other
    try:
        with replaced(path) as file:
            file.write_bytes(content + hashlib.sha256(content).digest())
            for number in reversed(range(1, keep)):
                if _numbered(path, number - 1).exists():
                    os.replace(_numbered(path, number - 1), _numbered(path, number))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); the training can go on from the state "
            "before, by the same command."
        ) from error


def states_at(path):
    """Files of a run's states, the last one first.

    Args:
        path: File that `save_state` was given.
    """
    path = pathlib.Path(path)
    older = path.parent.glob(f"{path.stem}.*{path.suffix}")
    numbers = [name.name[len(path.stem) + 1 : -len(path.suffix) or None] for name in older]
    files = [path, *(_numbered(path, n) for n in sorted(int(n) for n in numbers if n.isdigit()))]
    return [file for file in files if file.exists()]


def restore_state(path, model, *, callbacks=()):
    """Puts a saved state back into the model, its optimizer and the callbacks.

    A damaged file is passed over, with a warning, if there is a whole one before it. Of several
    workers all have to call it; the chief reads, and tells the others. Figures of
    an epoch that is not over go into the metrics once these are built and `fit` has set them
    back, by `Restored.continue_figures`.

    Args:
        path: File that `save_state` wrote.
        model: The same model, compiled with the same optimizer.
        callbacks: The same callbacks in the same order.

    Returns:
        A `Restored`.

    Raises:
        InputError: If all files are damaged, or it is of another model, optimizer or callbacks.
    """
    workers = Workers(model)
    content = b""
    if workers.is_chief:
        path, content = _last_whole(path)
    with np.load(io.BytesIO(workers.from_chief(content))) as file:
        arrays = dict(file)
    progress = json.loads(str(arrays["progress"]))
    if "step" not in progress:
        raise InputError(_other(path, "contents, of another version of kerakit"))
    stateful = _stateful(callbacks)
    if _names(stateful) != progress["callbacks"]:
        raise InputError(_other(path, "callbacks"))
    weights = {str(i): variable for i, variable in enumerate(model.variables)}
    kept = {}
    for kind, own in (("model", weights), ("optimizer", _optimizer_state(model))):
        kept[kind] = {
            k.removeprefix(f"{kind}/"): arrays[k] for k in arrays if k.startswith(f"{kind}/")
        }
        shapes = {name: tuple(value.shape) for name, value in own.items()}
        if {name: value.shape for name, value in kept[kind].items()} != shapes:
            raise InputError(_other(path, kind))
    for name, variable in weights.items():
        variable.assign(kept["model"][name])
    model.optimizer.load_own_variables(kept["optimizer"])
    for callback, state in zip(stateful, progress["states"], strict=True):
        callback.set_state(_unpack(state, arrays))
    figures = {int(k.partition("/")[2]): arrays[k] for k in arrays if k.startswith("figure/")}
    return Restored(Progress(*(progress[name] for name in Progress._fields)), figures)


class Restored(typing.NamedTuple):
    """What `restore_state` read.

    Args:
        progress: `Progress`.
        figures: Dict of the number of a metric's variable to its value; the others are 0.
    """

    progress: Progress
    figures: dict

    def continue_figures(self, model):
        """Puts the figures of the broken-off epoch into the metrics.

        Args:
            model: The model, its metrics built.
        """
        for number, variable in enumerate(_figures(model)):
            value = self.figures.get(number)
            variable.assign(keras.ops.zeros_like(variable) if value is None else value)


def _numbered(path, number):
    return path.with_name(f"{path.stem}.{number}{path.suffix}") if number else path


def _last_whole(path):
    """The last file that is whole, and what it holds."""
    damaged = []
    for file in states_at(path):
        data = file.read_bytes()
        content, digest = data[:-DIGEST], data[-DIGEST:]
        if hashlib.sha256(content).digest() == digest:
            if damaged:
                warnings.warn(f"{_damaged(damaged[0])}; going on from {file.name}.", stacklevel=3)
            for other in damaged:
                other.unlink()  # the next save would put it in the place of the whole one
            return file, content
        damaged.append(file)
    raise InputError(f"{_damaged(damaged[0])}; remove it to train from the start.")


def _damaged(file):
    return f"{file} is damaged: its checksum is not that of what it holds"


def _figures(model):
    return [variable for metric in model.metrics for variable in metric.variables]


def _optimizer_state(model):
    """The optimizer's own variables, by the names it saves them; not a callback's among them."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    store = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's way to read 16 bits
        model.optimizer.save_own_variables(store)
    return store


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
    return _wide(keras.ops.convert_to_numpy(variable))


def _wide(array):
    """The array, bfloat16, of which a file loses the type, as float32."""
    return array.astype("float32") if str(array.dtype) == "bfloat16" else array


def _pack(value, arrays, key):
    """The value with each array moved into `arrays` and named in its place."""
    if isinstance(value, np.ndarray | np.generic):  # a weight of one number is the second
        arrays[key] = _wide(np.asarray(value))
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
