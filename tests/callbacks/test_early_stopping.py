"""EarlyStopping against a plain loop of its rule, over resumes, and in stock fit."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerakit.callbacks import EarlyStopping
from kerakit.errors import InputError


class Model:
    """What the callback needs of a model; its one weight is the epoch."""

    def __init__(self):
        self.stop_training = False
        self.weights = [np.array(-1.0)]

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def run(callback, values, *, first_epoch=0, last_epoch=None, key="val_loss"):
    """Drives the callback through epochs as `fit` does; the epochs that were run."""
    model, epochs = Model(), []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(first_epoch, len(values) if last_epoch is None else last_epoch):
        model.weights = [np.array(float(epoch))]
        callback.on_epoch_end(epoch, {key: values[epoch]})
        epochs.append(epoch)
        if model.stop_training:
            break
    return model, epochs


def stopped_by_loop(values, *, patience, mode, min_delta, start_from_epoch):
    """First epoch with `patience` changes for the worse behind it, or None."""
    for epoch in range(start_from_epoch + patience - 1, len(values)):
        worse = []
        for t in range(epoch - patience + 1, epoch + 1):
            if math.isnan(values[t]):
                worse.append(True)
            elif t == start_from_epoch:
                worse.append(False)
            elif mode == "min":
                worse.append(values[t] > values[t - 1] + min_delta)
            else:
                worse.append(values[t] < values[t - 1] - min_delta)
        if all(worse):
            return epoch
    return None


# Few different values, so that plateaus and long rises both come up.
curves = st.lists(
    st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0, 3.0, -1.0, math.nan, math.inf]),
    min_size=1,
    max_size=14,
) | st.lists(st.floats(-10, 10), min_size=1, max_size=14)
rules = st.fixed_dictionaries(
    {
        "patience": st.integers(1, 4),
        "mode": st.sampled_from(["min", "max"]),
        "min_delta": st.sampled_from([0.0, 0.25, 1.0]),
        "start_from_epoch": st.integers(0, 3),
    }
)


@settings(max_examples=300, deadline=None)
@given(values=curves, rule=rules)
def test_stops_where_the_loop_of_the_rule_does(values, rule):
    callback = EarlyStopping(**rule)
    _, epochs = run(callback, values)
    expected = stopped_by_loop(values, **rule)
    assert callback.stopped_epoch == expected
    assert epochs[-1] == (len(values) - 1 if expected is None else expected)


@settings(max_examples=300, deadline=None)
@given(values=curves, rule=rules, breaks=st.sets(st.integers(1, 13)))
def test_resumed_at_any_epochs_decides_the_same(values, rule, breaks):
    whole = EarlyStopping(**rule, restore_best_weights=True)
    whole_model, whole_epochs = run(whole, values)
    whole.on_train_end()

    first, epochs, callback = 0, [], EarlyStopping(**rule, restore_best_weights=True)
    for last in [*sorted(b for b in breaks if b < len(values)), len(values)]:
        model, part = run(callback, values, first_epoch=first, last_epoch=last)
        epochs += part
        if callback.stopped_epoch is not None:
            break
        first, state = last, callback.get_state()
        assert {type(value) for value in state.values()} <= {str, int, float, np.ndarray}
        if last < len(values):
            callback = EarlyStopping(**rule, restore_best_weights=True)
            callback.set_state(state)
    callback.on_train_end()

    assert epochs == whole_epochs
    assert callback.stopped_epoch == whole.stopped_epoch
    assert callback.best_epoch == whole.best_epoch
    if whole.best_epoch is not None:
        np.testing.assert_array_equal(whole_model.weights, [whole.best_epoch])
        np.testing.assert_array_equal(model.weights, [whole.best_epoch])


def test_best_weights_come_back_whether_or_not_it_stopped():
    for values, best in [([3.0, 1.0, 2.0], 1), ([3.0, 1.0, 0.5, math.nan], 2), ([3.0, 2.0], 1)]:
        callback = EarlyStopping(restore_best_weights=True)
        model, _ = run(callback, values)
        callback.on_train_end()
        assert (callback.best_epoch, model.weights) == (best, [float(best)])


def test_weights_stay_where_nothing_was_best_or_none_is_wanted():
    callback = EarlyStopping(restore_best_weights=True)
    model, _ = run(callback, [math.nan])
    callback.on_train_end()
    assert model.weights == [0.0]
    callback = EarlyStopping()
    model, _ = run(callback, [1.0, 2.0])
    callback.on_train_end()
    assert model.weights == [1.0]


def test_a_plateau_does_not_stop_it_and_keras_stops():
    losses = [1.0, 0.8, 0.9, 0.85, 0.82, 0.81, 0.7]
    _, epochs = run(EarlyStopping(patience=2), losses)
    assert len(epochs) == 7
    _, epochs = run(keras.callbacks.EarlyStopping("val_loss", patience=2, mode="min"), losses)
    assert len(epochs) == 4
    _, epochs = run(EarlyStopping(patience=1), [0.5] * 9)
    assert len(epochs) == 9


def test_second_fit_starts_over():
    callback = EarlyStopping(patience=2)
    run(callback, [1.0, 2.0, 1.5])
    # Were the 1.5 remembered, these would be two rises.
    _, epochs = run(callback, [1.6, 1.7, 1.5])
    assert len(epochs) == 3
    run(callback, [1.0, 2.0, 3.0])
    assert callback.stopped_epoch == 2
    _, epochs = run(callback, [3.0, 2.0, 1.0])
    assert (len(epochs), callback.stopped_epoch) == (3, None)


def test_a_state_is_honoured_once():
    before = EarlyStopping(patience=2)
    run(before, [1.0, 2.0])
    callback = EarlyStopping(patience=2)
    callback.set_state(before.get_state())
    _, epochs = run(callback, [1.0, 2.0, 3.0], first_epoch=2)
    assert (epochs, callback.stopped_epoch) == ([2], 2)
    _, epochs = run(callback, [4.0, 3.0, 3.5, 3.0])
    assert (len(epochs), callback.stopped_epoch) == (4, None)


def test_a_state_set_while_training_runs_is_in_force_at_once_and_not_later():
    before = EarlyStopping(patience=2)
    run(before, [1.0, 2.0])
    callback = EarlyStopping(patience=2)
    callback.set_model(Model())
    callback.on_train_begin()
    callback.set_state(before.get_state())
    callback.on_epoch_end(2, {"val_loss": 3.0})
    assert callback.stopped_epoch == 2
    _, epochs = run(callback, [4.0, 3.0])
    assert (len(epochs), callback.stopped_epoch) == (2, None)


def test_a_stopped_training_is_not_resumed():
    before = EarlyStopping()
    run(before, [1.0, 2.0])
    callback = EarlyStopping()
    callback.set_state(before.get_state())
    with pytest.raises(InputError, match="ended this training after epoch 2; there is nothing"):
        callback.on_train_begin()
    callback.on_train_begin()  # a fresh one


def test_a_state_of_another_monitor():
    with pytest.raises(InputError, match=r"watched `val_loss` \(min\), this one watches `loss`"):
        EarlyStopping("loss").set_state(EarlyStopping().get_state())


def test_missing_monitor_names_what_there_is():
    callback = EarlyStopping()
    callback.set_model(Model())
    callback.on_train_begin()
    message = "watches `val_loss`, which epoch 1 did not log; it logged accuracy, loss"
    with pytest.raises(InputError, match=message):
        callback.on_epoch_end(0, {"loss": 1.0, "accuracy": 0.5})
    with pytest.raises(InputError, match="it logged nothing"):
        callback.on_epoch_end(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "`patience` must be at least 1, got 0"),
        ({"min_delta": -0.1}, "`min_delta` must be at least 0, got -0.1"),
        ({"min_delta": math.nan}, "`min_delta` must be at least 0, got nan"),
        ({"mode": "auto"}, "`mode` must be 'min' or 'max' .* got 'auto'"),
        ({"monitor": "val_f1_macro"}, "for monitor='val_f1_macro', got None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**arguments)


def test_config_goes_round():
    callback = EarlyStopping(
        "val_f1", patience=3, mode="max", min_delta=0.5, start_from_epoch=2,
        restore_best_weights=True,
    )  # fmt: skip
    config = keras.saving.serialize_keras_object(callback)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == callback.get_config()
    assert EarlyStopping().get_config()["mode"] == "min"


def diverging_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.9), loss="mse")
    return model


class Losses(keras.callbacks.Callback):
    """Puts a given validation loss into the logs, and keeps the weights of each epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.weights = {}

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.losses[epoch]
        self.weights[epoch] = self.model.get_weights()


def test_in_fit_interrupted_or_not(rng):
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(8, 1))
    losses = [3.0, 2.0, 2.5, 2.0, 1.0, 1.5, 2.0, 2.5, 9.0, 9.0]
    fit = {"x": x, "y": y, "shuffle": False, "verbose": 0, "batch_size": 4}

    model = diverging_model()
    start = model.get_weights()
    whole, watched = EarlyStopping(patience=3, restore_best_weights=True), Losses(losses)
    history = model.fit(epochs=10, callbacks=[watched, whole], **fit)
    assert (history.epoch, whole.stopped_epoch) == (list(range(8)), 7)
    best = model.get_weights()
    for restored, kept in zip(best, watched.weights[4], strict=True):
        np.testing.assert_array_equal(restored, kept)

    model = diverging_model()
    model.set_weights(start)
    first = EarlyStopping(patience=3, restore_best_weights=True)
    watched = Losses(losses)
    model.fit(epochs=6, callbacks=[watched, first], **fit)
    model.set_weights(watched.weights[5])  # where the interrupted training was
    second = EarlyStopping(patience=3, restore_best_weights=True)
    second.set_state(first.get_state())
    history = model.fit(epochs=10, initial_epoch=6, callbacks=[Losses(losses), second], **fit)
    assert (history.epoch, second.stopped_epoch) == ([6, 7], 7)
    for restored, kept in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(restored, kept)


def test_monitor_missing_in_fit(rng):
    x = rng.normal(size=(4, 2))
    with pytest.raises(InputError, match="watches `val_loss`.* it logged loss"):
        diverging_model().fit(x, x[:, :1], verbose=0, callbacks=[EarlyStopping()])
