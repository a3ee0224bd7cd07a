"""When a run's state is saved: every so often, at the end, and when the machine is taken away."""

import contextlib
import math
import signal
import threading
import time

import keras

from kerakit.training.multi_worker import Workers
from kerakit.training.state import Progress, save_state

# Of the time, what saving may take.
SHARE = 0.01
# As a shell says that a process ended by SIGTERM.
PREEMPTED = 128 + signal.SIGTERM


class SaveState(keras.callbacks.Callback):
    """Saves the state of a run while it trains.

    Args:
        path: File of the state.
        callbacks: The other callbacks, whose state is saved too.
        steps: Steps of an epoch.
        epochs: Epochs in all; after the last one it is saved in any case.
        every: Seconds between two saves inside an epoch, if that takes no more than `SHARE` of
            the time; 0: after every step, whatever it takes.
    """

    def __init__(self, path, callbacks, *, steps, epochs, every):
        super().__init__()
        if not every >= 0:
            raise ValueError(f"`save_every` must be at least 0 seconds, got {every}.")
        self.path, self.callbacks = path, callbacks
        self.steps, self.epochs, self.every = steps, epochs, every
        self.told_to_end = False
        self._epoch, self._last, self._took = 0, time.monotonic(), 0.0
        self._begun, self._saves, self._spent = self._last, 0, 0.0
        self._workers = None

    def on_train_begin(self, logs=None):
        self._workers = Workers(self.model)
        self._begun = time.monotonic()

    def on_train_end(self, logs=None):
        share = self._spent / (time.monotonic() - self._begun)
        if self._workers.is_chief:
            print(f"The state was saved {self._saves} times, in {share:.1%} of the training's time")

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        made = batch + 1
        if made >= self.steps:
            return
        # Before the last step it is the last time for as long as the validation takes.
        save, end = self._asked(self._is_due(0.0 if made == self.steps - 1 else self.every))
        if not save:
            return
        # A loss that is no number ends the run at the epoch's end; nothing of it is to be kept.
        if math.isfinite((logs or {}).get("loss", 0.0)):
            self._save(Progress(self._epoch, made))
        if end:
            self._leave(f"in epoch {self._epoch + 1}, after step {made} of {self.steps}")

    def on_test_batch_end(self, batch, logs=None):
        # An epoch is not saved between its last step and its figures.
        _, end = self._asked(False)
        if end:
            self._leave(f"in the validation of epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        stopped = bool(self.model.stop_training)
        ends = stopped or epoch + 1 == self.epochs
        save, end = self._asked(ends or self._is_due(0.0))
        if save:
            self._save(Progress(epoch + 1, 0, stopped))
        if end:
            self._leave(f"after epoch {epoch + 1}")

    def _asked(self, due):
        """Whether to save now, and to end: by the chief's clock, or a SIGTERM to any worker."""
        # Read once: a SIGTERM that comes while the workers tell each other is for the next time.
        end = self.told_to_end
        save = end or (due and self._workers.is_chief)
        if self._workers.count > 1:
            save, end = self._workers.total([save, end])
        return bool(save), bool(end)

    def _is_due(self, every):
        least = self._took / SHARE if self.every else 0.0
        return time.monotonic() - self._last >= max(every, least)

    def _save(self, progress):
        start = time.monotonic()
        save_state(self.path, self.model, callbacks=self.callbacks, progress=progress)
        self._last = time.monotonic()
        self._took = self._last - start
        self._saves, self._spent = self._saves + 1, self._spent + self._took

    def _leave(self, where):
        print(f"Ended by SIGTERM {where}; the same command goes on with the run.", flush=True)
        self._workers.wait_for_each_other()  # the chief may be writing
        raise SystemExit(PREEMPTED)


@contextlib.contextmanager
def saving_at_sigterm(saving):
    """Within this a SIGTERM has the state saved after the step that is made, and the process end.

    Args:
        saving: `SaveState`, among the callbacks of the training.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return

    def preempt(number, frame):
        saving.told_to_end = True

    before = signal.signal(signal.SIGTERM, preempt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
