"""Keras's own `fit`, which goes on where a killed run stopped."""

import contextlib
import math
import pathlib
import sys
import time

import keras
import tensorflow as tf

from kerakit.callbacks import EarlyStopping
from kerakit.data.untuned import untuned
from kerakit.errors import InputError
from kerakit.training.best_model import BestModel
from kerakit.training.multi_worker import Workers
from kerakit.training.one_trace import OneTrace
from kerakit.training.save_state import SaveState, saving_at_sigterm
from kerakit.training.state import Progress, Restored, restore_state, states_at
from kerakit.training.strategy import replicas
from kerakit.training.waiting import Waiting
from kerakit.training.whole_batches import mean_over_examples, whole_batches


def fit(model, batches, *, epochs, state, validation=None, callbacks=(), save_every=60.0):
    """Trains for `epochs` epochs in all, resuming from `state` where that file is there.

    The state is saved inside of epochs too, and at a SIGTERM, as of a machine that is taken
    away; one that comes in a validation leaves the state before the epoch's last step. Batches
    are a function of the step, so a run that is killed anywhere and started again gives the
    weights, the log and the decisions of one that was never killed, bit for bit on one CPU.

    On several replicas, see `strategy`, each takes its equal part of every batch. Compile with
    `weighted_metrics`: the last, short batch of the validation is filled up with rows of weight
    0, so that each example counts once. Of several workers all call this; the chief alone writes
    and reads states.

    Args:
        model: Compiled `keras.Model`.
        batches: `kerakit.data.TrainingBatches`, or another object with `steps_per_epoch` and
            `starting_at(step)`, endless batches from that step on.
        epochs: Epochs in all, those before a resume included.
        state: File of the run's state; the one before it stands beside it.
        validation: Dataset of validation batches, run after every epoch.
        callbacks: Keras callbacks; those with `get_state()` and `set_state(state)`
            are resumed too, and those with `see(batches)` are shown the batches first.
        save_every: Seconds between two saves inside an epoch. Saving takes 1 % of the time at
            most: where it would take more it is done more seldom. 0: after every step.

    The logs get `data_wait`, the share of an epoch's training time that waited for its batches.

    Returns:
        `Progress` from which this call went on; `Progress()` if it began.

    Raises:
        InputError: If the state is damaged or another run's or cannot be written, the loss of an
            epoch is not finite, replicas cannot share a batch equally, or the step is compiled
            again after the first epoch.
        SystemExit: After a SIGTERM, with code 143, when the state is saved.
    """
    state = pathlib.Path(state)
    callbacks = list(callbacks)
    for callback in callbacks:
        if hasattr(callback, "see"):  # such as `kerakit.diagnose.Watch`
            callback.see(batches)
    before = Restored(Progress(), {})
    if Workers(model).chief_says(bool(states_at(state))):
        with _scope(model):
            before = restore_state(state, model, callbacks=callbacks)
    if before.progress.epoch >= epochs or before.progress.stopped:
        # What Keras does at the end of `fit`, after the state was saved: averaged weights,
        # where the optimizer keeps them, take over, and then the best ones.
        model.optimizer.finalize_variable_values(model.trainable_variables)
        for callback in callbacks:
            if isinstance(callback, EarlyStopping):
                callback.restore(model)
            if isinstance(callback, BestModel):
                callback.write(model)
    else:
        # Last of all, so that what the others decide at an epoch's end is saved.
        saving = SaveState(
            state, callbacks, steps=batches.steps_per_epoch, epochs=epochs, every=save_every
        )
        callbacks = [_StopOnDivergence(), *callbacks, saving]
        one_trace = OneTrace(batches)
        with saving_at_sigterm(saving), one_trace.counting(model):
            _train(model, batches, epochs, validation, [one_trace, *callbacks], before)
        Workers(model).wait_for_each_other()
    return before.progress


def _train(model, batches, epochs, validation, callbacks, before):
    """One training in one or two calls of Keras's `fit`, which begins no epoch in its middle.

    Given fewer steps for the rest of an epoch, it would take as few in all that follow.
    """
    steps, (epoch, step, _) = batches.steps_per_epoch, before.progress
    shown = _OneTraining(
        callbacks,
        add_history=True,
        add_progbar=True,
        model=model,
        verbose=1 if sys.stdout.isatty() else 2,
        epochs=epochs,
        steps=steps,
    )
    if step:
        print(f"Going on in epoch {epoch + 1}, after step {step} of {steps}", flush=True)
        with _scope(model):  # on TensorFlow the metrics have no variables before the first step
            model._symbolic_build(data_batch=next(iter(batches.starting_at(0))))
        shown.goes_on = before
    if isinstance(validation, tf.data.Dataset):
        validation = untuned(validation)
    workers, count = Workers(model), replicas(model)
    if count > 1:
        _say_who_takes_what(batches, count, workers)
        if validation is not None:
            validation, shown.rows_an_example = whole_batches(validation, multiple_of=count)
            validation = workers.own_part(validation)

    def part(first, last, *, made=0):
        source = untuned(batches.starting_at(first * steps + made))
        ahead = count > 1 and keras.backend.backend() == "tensorflow"
        measured = shown.waiting.measured_ahead if ahead else shown.waiting.measured
        source = measured(source)
        model.fit(
            workers.own_part(source),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps - made,
            validation_data=validation,
            callbacks=shown,
            shuffle=False,  # the batches come in their order already
        )

    with _ended_once(model.optimizer):
        if step:
            part(epoch, epoch + 1, made=step)
            epoch += 1
        if epoch < epochs and not (step and model.stop_training):
            part(epoch, epochs)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    shown.finish()


def _say_who_takes_what(batches, replicas, workers):
    """Prints how a batch is shared; refuses one that cannot be shared equally."""
    size = keras.tree.flatten(batches.starting_at(0).element_spec)[0].shape[0]
    if size % replicas:
        raise InputError(
            f"A batch of {size} cannot be shared equally by {replicas} replicas: "
            f"give a batch size that is a multiple of {replicas}."
        )
    of_workers = f" of {workers.count} workers" if workers.count > 1 else ""
    print(
        f"{replicas} replicas{of_workers}, each with {size // replicas} of a batch's {size} "
        "examples; the learning rate is that of the whole batch",
        flush=True,
    )


class _OneTraining(keras.callbacks.CallbackList):
    """Callbacks to which two calls of `fit` are one training."""

    goes_on, rows_an_example, _trained = None, 1.0, None

    def __init__(self, *values, **options):
        super().__init__(*values, **options)
        self.waiting = Waiting()

    _begun, _logs, _made, _first = False, None, 0, 0

    def on_train_begin(self, logs=None):
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        self._logs = logs

    def finish(self):
        super().on_train_end(self._logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._start, self._waited = time.perf_counter(), self.waiting.seconds
        before, self.goes_on, self._made = self.goes_on, None, 0
        if before is not None:
            self._made = before.progress.step
            before.continue_figures(self.model)

    def on_test_begin(self, logs=None):
        self._trained = time.perf_counter() - self._start
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        trained = self._trained or time.perf_counter() - self._start
        logs["data_wait"] = (self.waiting.seconds - self._waited) / trained
        self._trained = None
        if self.rows_an_example != 1.0:
            mean_over_examples(logs, self.model, rows_an_example=self.rows_an_example)
        super().on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self._made, logs)
        self._first = batch
        self.waiting.step_begins()

    def on_train_batch_end(self, batch, logs=None):
        self.waiting.step_ends(batch - self._first + 1)
        super().on_train_batch_end(batch + self._made, logs)


def _scope(model):
    """Within this variables are made as the model's are."""
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
    return strategy.scope() if strategy else contextlib.nullcontext()


@contextlib.contextmanager
def _ended_once(optimizer):
    """Within this, the end of a `fit` leaves the weights: averages are to come in at the last."""
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


class _StopOnDivergence(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is {loss} after epoch {epoch + 1}: the training diverged; "
                "lower the learning rate, or clip the gradients."
            )
