"""The best model so far, kept in a file."""

import contextlib
import pathlib

import keras

from kerakit.atomic import replaced
from kerakit.errors import InputError
from kerakit.training.averages import averages_in
from kerakit.training.multi_worker import Workers

COMPARE = {"max": lambda new, old: new > old, "min": lambda new, old: new < old}


class BestModel(keras.callbacks.Callback):
    """Saves the model whenever the watched figure is better than ever before.

    `keras.callbacks.ModelCheckpoint` forgets its best figure when a run is resumed,
    and a kill while it writes leaves half a file. Here the best figure is state that
    a resumed run gets back, and the file is replaced in one step. Of several workers the chief
    writes it.

    Args:
        path: File to write, `.keras`.
        monitor: Key of the epoch's logs.
        mode: `"max"` or `"min"`: which is better.
        averaged: Whether to save the averages that the optimizer keeps, as `EvaluateAverages`
            judges them.
    """

    def __init__(self, path, *, monitor, mode="max", averaged=False):
        if mode not in COMPARE:
            raise ValueError(f'`mode` must be "max" or "min", got {mode!r}.')
        super().__init__()
        self.path = pathlib.Path(path)
        self.monitor = monitor
        self.mode = mode
        self.averaged = averaged
        self.best = None

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise InputError(
                f"BestModel: there is no {self.monitor!r} to watch; "
                f"the epoch's figures are {', '.join(sorted(logs or {}))}."
            )
        value = float(logs[self.monitor])
        if self.best is None or COMPARE[self.mode](value, self.best):
            self.best = value
            weights = averages_in(self.model) if self.averaged else contextlib.nullcontext()
            with weights:  # on all workers: they are to stay in step
                if Workers(self.model).is_chief:
                    self._write()

    def _write(self):
        with replaced(self.path) as file:
            self.model.save(file)

    def get_state(self):
        return {"best": self.best}

    def set_state(self, state):
        self.best = state["best"]
