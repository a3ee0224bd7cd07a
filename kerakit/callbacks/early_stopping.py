"""Early stopping: end the training when the validation loss rises."""

import math

import keras

from kerakit.errors import InputError


@keras.saving.register_keras_serializable(package="kerakit")
class EarlyStopping(keras.callbacks.Callback):
    """Stops after `patience` epochs in a row in which the validation loss rose.

    The rule looks at the sign of the change alone: with E(t) the monitored value of epoch t,
    training stops at the first t with `E(t) > E(t-1)`, `E(t-1) > E(t-2)`, ... `patience`
    times. A plateau does not stop it, nor a value that falls slowly after a peak.

    `keras.callbacks.EarlyStopping` has another rule, no new best value for `patience` epochs:
    for the losses 1.0, 0.8, 0.9, 0.85, 0.82, 0.81, 0.7 and patience 2 it stops after epoch 4,
    this one runs through all 7. It also forgets its count when training is resumed.

    A value of NaN counts as a rise, also in the first epoch. An epoch without the monitored
    value is an error, so `fit(validation_freq=...)` must be 1.

    Args:
        monitor: Name of the watched value in the logs.
        patience: Rises in a row that stop the training; at least 1.
        mode: `"min"` if a rise of the value is bad, `"max"` if a fall is. May be left out
            when the name ends in "loss": then it is `"min"`.
        min_delta: A change for the worse counts only beyond this; in the value's own units,
            at least 0.
        start_from_epoch: First epoch (from 0) that is looked at. It has nothing before it to
            be compared with.
        restore_best_weights: Whether the model gets back, at the end of training and whether
            or not this stopped it, the weights of the epoch with the best value from
            `start_from_epoch` on. They are held in memory; NaN is never best.

    Attributes:
        stopped_epoch: Epoch (from 0) after which it stopped the training, or None.
        best_epoch: Epoch (from 0) of the best value so far, or None.

    Raises:
        ValueError: If an argument is not as above.
        InputError: In training, if the logs lack `monitor`, or if it is resumed from a state
            in which it had already stopped.

    Reference:
        Prechelt, Early Stopping - But When?, 1998, criterion UP_s with s = `patience`.
        Deviations: validation every epoch (strips of 1, not 5); `min_delta`.

    Example:

    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(3.0), loss="mse")  # far too large: it diverges
    >>> x = np.ones((4, 1))
    >>> stopping = EarlyStopping("loss", patience=2)
    >>> history = model.fit(x, x, epochs=10, verbose=0, callbacks=[stopping])
    >>> stopping.stopped_epoch  # the third epoch: two rises
    2
    """

    def __init__(
        self,
        monitor="val_loss",
        *,
        patience=1,
        mode=None,
        min_delta=0.0,
        start_from_epoch=0,
        restore_best_weights=False,
    ):
        if mode is None and monitor.endswith("loss"):
            mode = "min"
        if mode not in ("min", "max"):
            raise ValueError(
                f"`mode` must be 'min' or 'max' (which is better?) for monitor={monitor!r}, "
                f"got {mode!r}."
            )
        if patience < 1:
            raise ValueError(f"`patience` must be at least 1, got {patience}.")
        if not min_delta >= 0:
            raise ValueError(f"`min_delta` must be at least 0, got {min_delta}.")
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.mode = mode
        self.min_delta = min_delta
        self.start_from_epoch = start_from_epoch
        self.restore_best_weights = restore_best_weights
        self._resumed = False
        self._start_over()

    def _start_over(self):
        self.stopped_epoch = None
        self._rises = 0
        self._previous = None
        self._best = None
        self.best_epoch = None
        self._best_weights = None

    def on_train_begin(self, logs=None):
        if not self._resumed:
            self._start_over()
        self._resumed = False
        if self.stopped_epoch is not None:
            raise InputError(
                f"Early stopping ended this training after epoch {self.stopped_epoch + 1}; "
                "there is nothing to resume. To train on, use a new EarlyStopping."
            )

    def on_epoch_end(self, epoch, logs=None):
        # A state set since the training began is in force already, and not for the next one.
        self._resumed = False
        if epoch < self.start_from_epoch:
            return
        if self.monitor not in (logs or {}):
            raise InputError(
                f"Early stopping watches `{self.monitor}`, which epoch {epoch + 1} did not log; "
                f"it logged {', '.join(sorted(logs or {})) or 'nothing'}."
            )
        value = float(logs[self.monitor])
        # From here on smaller is better.
        value = value if self.mode == "min" else -value
        rose = self._previous is not None and value > self._previous + self.min_delta
        self._rises = self._rises + 1 if rose or math.isnan(value) else 0
        self._previous = value
        if not math.isnan(value) and (self._best is None or value < self._best):
            self._best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
        if self._rises >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.restore(self.model)

    def restore(self, model):
        """Gives a model the best weights so far, where they are kept."""
        if self._best_weights is not None:
            model.set_weights(self._best_weights)

    def get_state(self):
        """What `set_state` of another object needs to go on as this one would.

        Returns:
            Flat dictionary of strings, numbers and NumPy arrays; what is not known yet has no
            key. The best weights stand under `"best_weights/0"`, `"best_weights/1"`, ...
        """
        state = {
            "monitor": self.monitor,
            "mode": self.mode,
            "rises": self._rises,
            "previous": self._previous,
            "best": self._best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
        }
        for index, weights in enumerate(self._best_weights or []):
            state[f"best_weights/{index}"] = weights
        return {key: value for key, value in state.items() if value is not None}

    def set_state(self, state):
        """Goes on from a state, in the training that runs or else in the next one alone.

        Args:
            state: What `get_state` returned.

        Raises:
            InputError: If it is the state of another monitor or mode.
        """
        if (state["monitor"], state["mode"]) != (self.monitor, self.mode):
            raise InputError(
                f"The saved early stopping watched `{state['monitor']}` ({state['mode']}), "
                f"this one watches `{self.monitor}` ({self.mode}); resume with the same."
            )
        self._start_over()
        self._rises = state["rises"]
        self._previous = state.get("previous")
        self._best = state.get("best")
        self.best_epoch = state.get("best_epoch")
        self.stopped_epoch = state.get("stopped_epoch")
        count = sum(key.startswith("best_weights/") for key in state)
        if count:
            self._best_weights = [state[f"best_weights/{index}"] for index in range(count)]
        self._resumed = True

    def get_config(self):
        return {
            "monitor": self.monitor,
            "patience": self.patience,
            "mode": self.mode,
            "min_delta": self.min_delta,
            "start_from_epoch": self.start_from_epoch,
            "restore_best_weights": self.restore_best_weights,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)
