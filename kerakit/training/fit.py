"""Keras's own `fit`, which goes on where a killed run stopped."""

import math
import pathlib
import sys

import keras

from kerakit.callbacks import EarlyStopping
from kerakit.errors import InputError
from kerakit.training.state import Progress, restore_state, save_state


def fit(model, batches, *, epochs, state, validation=None, callbacks=()):
    """Trains for `epochs` epochs in all, resuming from `state` where that file is there.

    After each epoch all that the run needs is saved. Batches are a function of the
    step, so a run that is killed and started again gives the weights, the log and the
    decisions of one that was never killed; the epoch in which it was killed is run
    again from its start.

    Args:
        model: Compiled `keras.Model`.
        batches: `kerakit.data.TrainingBatches`, or another object with `steps_per_epoch` and
            `starting_at(step)`, endless batches from that step on.
        epochs: Epochs in all, those before a resume included.
        state: File of the run's state.
        validation: Dataset of validation batches, run after every epoch.
        callbacks: Keras callbacks; those with `get_state()` and `set_state(state)`
            are resumed too, and those with `see(batches)` are shown the batches first.

    Returns:
        Number of epochs that had been finished before this call.

    Raises:
        InputError: If the state is damaged or another run's, or the loss is no longer finite;
            nothing of such an epoch is saved.
    """
    state = pathlib.Path(state)
    callbacks = list(callbacks)
    for callback in callbacks:
        if hasattr(callback, "see"):  # such as `kerakit.diagnose.Watch`
            callback.see(batches)
    before = Progress(0, False)
    if state.exists():
        before = restore_state(state, model, callbacks=callbacks)
    if before.epoch >= epochs or before.stopped:
        # What Keras does at the end of `fit`, after the state was saved: averaged weights,
        # where the optimizer keeps them, take over, and then the best ones.
        model.optimizer.finalize_variable_values(model.trainable_variables)
        for callback in callbacks:
            if isinstance(callback, EarlyStopping):
                callback.restore(model)
    else:
        steps = batches.steps_per_epoch
        model.fit(
            batches.starting_at(before.epoch * steps),
            initial_epoch=before.epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            # Last of all, so that what the others decide at an epoch's end is saved.
            callbacks=[_StopOnDivergence(), *callbacks, _SaveState(state, callbacks)],
            shuffle=False,  # the batches come in their order already
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return before.epoch


class _StopOnDivergence(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is {loss} after epoch {epoch + 1}: the training diverged; "
                "lower the learning rate, or clip the gradients."
            )


class _SaveState(keras.callbacks.Callback):
    def __init__(self, path, callbacks):
        super().__init__()
        self.path = path
        self.callbacks = callbacks

    def on_epoch_end(self, epoch, logs=None):
        progress = Progress(epoch + 1, bool(self.model.stop_training))
        save_state(self.path, self.model, callbacks=self.callbacks, progress=progress)
