"""The best model so far, kept in a file."""

import contextlib
import pathlib
import time

import keras

from kerakit.atomic import replaced
from kerakit.errors import InputError
from kerakit.training.averages import averages_in
from kerakit.training.multi_worker import Workers

COMPARE = {"max": lambda new, old: new > old, "min": lambda new, old: new < old}
# Of the time, what writing may take: Keras takes long where a model has many layers.
SHARE = 0.01


class BestModel(keras.callbacks.Callback):
    """Keeps the model of the epoch with the best figure in a file.

    `keras.callbacks.ModelCheckpoint` forgets its best figure when a run is resumed,
    and a kill while it writes leaves half a file. Here the best figure and its weights are state
    that a resumed run gets back, and the file is replaced in one step: at the end, and before it
    as often as that takes no more than 1 % of the time. Of several workers the chief writes it.

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
        self._weights, self._is_written = None, True
        self._last, self._took = time.monotonic(), 0.0

    def on_train_begin(self, logs=None):
        self._last = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise InputError(
                f"BestModel: there is no {self.monitor!r} to watch; "
                f"the epoch's figures are {', '.join(sorted(logs or {}))}."
            )
        value = float(logs[self.monitor])
        if self.best is None or COMPARE[self.mode](value, self.best):
            self.best = value
            with averages_in(self.model) if self.averaged else contextlib.nullcontext():
                self._weights, self._is_written = self.model.get_weights(), False
        if time.monotonic() - self._last >= self._took / SHARE:
            self.write(self.model)

    def on_train_end(self, logs=None):
        self.write(self.model)

    def write(self, model):
        """Writes the best model, if the file has another one.

        Args:
            model: The model that was trained; its weights are the same afterwards.
        """
        if self._is_written or not Workers(model).is_chief:
            return
        start, weights = time.monotonic(), model.get_weights()
        model.set_weights(self._weights)
        try:
            with replaced(self.path) as file:
                model.save(file)
        finally:
            model.set_weights(weights)
        self._last, self._is_written = time.monotonic(), True
        self._took = self._last - start

    def get_state(self):
        return {"best": self.best, "weights": self._weights}

    def set_state(self, state):
        self.best, self._weights = state["best"], state["weights"]
        self._is_written = self._weights is None  # whether the file has them nobody knows
