import csv
import errno
import importlib
import itertools
import os
import re
import signal
import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit import training
from kerakit.callbacks import EarlyStopping, GradientClipping
from kerakit.diagnose import Watch
from kerakit.errors import InputError
from kerakit.training.epoch_log import TIMES

STEPS = 5


class Batches:
    """Batches that are a function of the step alone."""

    steps_per_epoch = STEPS

    def __init__(self, stop_at=None):
        self.stop_at = stop_at

    def starting_at(self, step):
        def batches():
            for number in itertools.count(step):
                if number == self.stop_at:
                    raise KeyboardInterrupt  # the run is killed here
                draw = np.random.default_rng(number)
                x = draw.normal(size=(8, 6)).astype("float32")
                yield x, np.tanh(x[:, :3]) + draw.normal(size=(8, 3)).astype("float32") * 0.1

        shapes = (tf.TensorSpec((8, 6)), tf.TensorSpec((8, 3)))
        return tf.data.Dataset.from_generator(batches, output_signature=shapes)


def make(folder, *, patience=9, restore=False):
    """A model with dropout, batch norm, momentum, an average, half an update: all have state."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.4, seed=5),
            keras.layers.Dense(3, name="scores"),
        ],
        name="net",
    )
    rate = keras.optimizers.schedules.CosineDecay(0.1, 6 * STEPS)
    optimizer = training.optimizer("sgd", rate, ema=0.9, accumulate=2)
    model.compile(optimizer, loss="mse", metrics=["mae"])
    log = training.EpochLog(folder / "log.csv")
    best = training.BestModel(folder / "best.keras", monitor="val_loss", mode="min")
    draw = np.random.default_rng(99)
    x = draw.normal(size=(20, 6)).astype("float32")
    validation = tf.data.Dataset.from_tensor_slices((x, np.tanh(x[:, :3]))).batch(8)
    stopping = EarlyStopping(patience=patience, restore_best_weights=restore)
    watch = Watch(x[:8], np.tanh(x[:8, :3]), every=3)
    callbacks = [GradientClipping(1.0), stopping, watch, log, best]
    return types.SimpleNamespace(
        model=model, log=log, best=best, watch=watch, callbacks=callbacks, validation=validation
    )


def fit(made, folder, *, epochs=6, batches=None, save_every=0):
    return training.fit(
        made.model,
        batches or Batches(),
        epochs=epochs,
        state=folder / "state.ckpt",
        validation=made.validation,
        callbacks=made.callbacks,
        save_every=save_every,
    )


def everything(made):
    return [np.asarray(v) for v in (*made.model.variables, *made.model.optimizer.variables)]


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    made = make(folder)
    assert fit(made, folder) == (0, 0, False)
    return made, folder


def assert_the_same(again, folder, whole):
    (whole, whole_folder) = whole
    for one, other in zip(everything(again), everything(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    assert rows(folder) == rows(whole_folder)
    assert again.best.best == whole.best.best
    assert again.watch.watched == whole.watch.watched
    assert len(rows(folder)) == 6


def test_it_is_over_when_its_last_epoch_is(tmp_path, monkeypatch):
    """tf.data's tuning would hold the end of `fit` up: see `untuned`."""
    made, given = make(tmp_path), []
    original = made.model.fit

    def noted(x, **options):
        given.extend([x, options["validation_data"]])
        return original(x, **options)

    monkeypatch.setattr(made.model, "fit", noted)
    fit(made, tmp_path, epochs=1)
    assert [dataset.options().autotune.enabled for dataset in given] == [False, False]


@pytest.mark.parametrize("killed_at", [1, STEPS - 1, STEPS, 2 * STEPS + 3])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, killed_at, whole):
    folder = tmp_path
    # KeyboardInterrupt inside a generator reaches fit as an error of the graph.
    with pytest.raises((KeyboardInterrupt, tf.errors.OpError)):
        fit(make(folder), folder, batches=Batches(stop_at=killed_at))
    again = make(folder)
    before = fit(again, folder)
    assert before <= (*divmod(killed_at, STEPS), False)
    if keras.backend.backend() == "tensorflow":  # on JAX batches are fetched ahead
        assert before == (*divmod(killed_at, STEPS), False)
    assert_the_same(again, folder, whole)


class _Sends(keras.callbacks.Callback):
    """Has the process told to end, at a moment of the training."""

    def __init__(self, moment, count):
        super().__init__()
        self.left = count
        setattr(self, f"on_{moment}", self.send)

    def send(self, number, logs=None):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("moment", "count", "place"),
    [
        ("train_batch_end", STEPS + 2, (1, 2, False)),
        ("train_batch_end", STEPS, (0, STEPS - 1, False)),  # seen in the validation
        ("epoch_end", 3, (3, 0, False)),
    ],
)
def test_a_sigterm_saves_and_ends_the_process(tmp_path, capsys, whole, moment, count, place):
    made = make(tmp_path)
    made.callbacks.insert(0, _Sends(moment, count))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        fit(made, tmp_path)
    assert ended.value.code == 143
    assert "Ended by SIGTERM" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) is handler
    again = make(tmp_path)
    assert fit(again, tmp_path) == place
    assert_the_same(again, tmp_path, whole)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "gone"])
def test_the_state_before_is_used_where_the_last_is_damaged(tmp_path, whole, damage):
    with pytest.raises((KeyboardInterrupt, tf.errors.OpError)):
        fit(make(tmp_path), tmp_path, batches=Batches(stop_at=2 * STEPS + 3))
    last, before = training.states_at(tmp_path / "state.ckpt")
    assert [last.name, before.name] == ["state.ckpt", "state.1.ckpt"]
    damaged(last, damage)
    again = make(tmp_path)
    if damage == "cut":
        killed_at_the_next_save(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(again, tmp_path)
    told = [str(warning.message) for warning in told if "damaged" in str(warning.message)]
    if damage in ("gone", "cut"):  # killed between two renamings, or told by the run before
        assert not told
    else:
        assert "state.ckpt is damaged: its checksum" in told[0]
        assert told[0].endswith("going on from state.1.ckpt.")
    assert_the_same(again, tmp_path, whole)


def killed_at_the_next_save(folder):
    """A run that goes on and is killed where its state is to be renamed: the whole one is there."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(os, "replace", _killed_at_state(os.replace))
        with pytest.raises(KeyboardInterrupt):
            fit(make(folder), folder)
    assert [file.name for file in training.states_at(folder / "state.ckpt")] == ["state.1.ckpt"]


def _killed_at_state(replace):
    def killed(source, target):
        if str(target).endswith("state.ckpt"):
            raise KeyboardInterrupt
        replace(source, target)

    return killed


def damaged(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 255
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b""}.get(damage, data))
    if damage == "gone":
        path.unlink()


def test_a_full_disk_loses_nothing_but_the_steps_since(tmp_path, whole, monkeypatch):
    writes, write = [], type(tmp_path).write_bytes

    def full(path, data):
        writes.append(path)
        if len(writes) == STEPS + 3:
            write(path, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "write_bytes", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
            fit(make(tmp_path), tmp_path)
    again = make(tmp_path)
    assert fit(again, tmp_path) > (0, 0, False)
    assert_the_same(again, tmp_path, whole)


@pytest.mark.parametrize(
    ("seconds", "moments"),
    [
        # Every minute; before the last step of an epoch; at the end of the last one.
        (0.1, [(0, 60), (0, 99), (1, 59), (1, 99), (2, 0)]),
        # Of 300 seconds 1 %, which are more than there are.
        (3.0, [(0, 60), (2, 0)]),
    ],
)
def test_saving_is_seldom_where_it_would_cost(monkeypatch, seconds, moments):
    module = importlib.import_module("kerakit.training.save_state")
    now, saved = [0.0], []

    def save(path, model, *, callbacks, progress):
        saved.append((progress.epoch, progress.step))
        now[0] += seconds

    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(module, "save_state", save)
    saving = module.SaveState("state", [], steps=100, epochs=2, every=60)
    model = keras.Sequential()
    model.stop_training = False
    saving.set_model(model)
    saving.on_train_begin()
    for epoch in range(2):
        saving.on_epoch_begin(epoch)
        for batch in range(100):
            now[0] += 1.0
            saving.on_train_batch_end(batch)
        saving.on_epoch_end(epoch)
    assert saved == moments


def test_saving_never_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`save_every` must be at least 0 seconds, got -1"):
        fit(make(tmp_path), tmp_path, save_every=-1)


@pytest.mark.parametrize("restore", [False, True])
def test_a_finished_run_is_left_as_it_is(tmp_path, restore):
    made = make(tmp_path, restore=restore)
    fit(made, tmp_path, epochs=3)
    again = make(tmp_path, restore=restore)
    assert fit(again, tmp_path, epochs=3) == (3, 0, False)
    for one, other in zip(everything(again), everything(made), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_that_stopped_early_does_not_start_again(tmp_path):
    made = make(tmp_path, patience=1)
    fit(made, tmp_path, epochs=60)
    epochs = len(made.log.rows)
    assert 1 < epochs < 60
    losses = [row["val_loss"] for row in made.log.rows]
    assert losses[-1] > losses[-2]
    again = make(tmp_path, patience=1)
    assert fit(again, tmp_path, epochs=60) == (epochs, 0, True)
    assert len(again.log.rows) == epochs


def test_best_model_is_the_one_of_the_best_epoch(whole):
    assert_the_best_is_there(*whole)


def assert_the_best_is_there(made, folder):
    losses = [float(row["val_loss"]) for row in rows(folder)]
    assert made.best.best == min(losses)
    best = keras.saving.load_model(folder / "best.keras")
    figures = best.evaluate(made.validation, return_dict=True, verbose=0)
    assert figures["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_a_best_model_that_was_not_written_yet_is_in_the_state(tmp_path):
    made = make(tmp_path)
    made.best._took = 1e9  # seconds: not to be spent before the end, where this run is killed

    def killed(logs=None):
        raise KeyboardInterrupt

    made.best.on_train_end = killed
    with pytest.raises(KeyboardInterrupt):
        fit(made, tmp_path)
    assert not (tmp_path / "best.keras").exists()
    again = make(tmp_path)
    fit(again, tmp_path)
    assert_the_best_is_there(again, tmp_path)


def test_a_figure_that_is_not_there_is_named(tmp_path):
    made = make(tmp_path)
    made.best.monitor = "val_accuracy"
    with pytest.raises(InputError, match=r"no 'val_accuracy' to watch; .*val_loss"):
        fit(made, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_state_is_refused_where_there_is_no_other(tmp_path, damage):
    fit(make(tmp_path), tmp_path, epochs=1, save_every=60)
    damaged(tmp_path / "state.ckpt", damage)
    (tmp_path / "state.1.ckpt").unlink()
    with pytest.raises(InputError, match="state.ckpt is damaged: its checksum"):
        fit(make(tmp_path), tmp_path)


def test_the_state_of_another_model_is_refused(tmp_path):
    fit(make(tmp_path), tmp_path, epochs=1)
    other = make(tmp_path)
    other.model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    other.model.compile("sgd", loss="mse")
    with pytest.raises(InputError, match="of a run with other model"):
        fit(other, tmp_path)


def test_the_state_of_other_callbacks_is_refused(tmp_path):
    fit(make(tmp_path), tmp_path, epochs=1)
    other = make(tmp_path)
    other.callbacks.reverse()
    with pytest.raises(InputError, match="of a run with other callbacks"):
        fit(other, tmp_path)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_weights_of_16_bits_are_kept_to_the_bit(tmp_path, policy):
    def small():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, dtype=policy)])
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
        return model

    model, again = small(), small()
    model.fit(np.ones((4, 6)), np.ones((4, 3)), verbose=0)
    training.save_state(tmp_path / "state", model, progress=training.Progress(1))
    assert training.restore_state(tmp_path / "state", again).progress == (1, 0, False)
    for one, other in zip(again.variables, model.variables, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


class _Counts(keras.layers.Layer):
    """Has a weight that is one integer, as a detector has."""

    def build(self, shape):
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )

    def call(self, inputs):
        return inputs


def test_the_best_weights_come_back_whatever_their_type(tmp_path):
    def fitted():
        model = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(3, dtype="bfloat16"), _Counts()]
        )
        model.compile("sgd", loss="mse")
        best = training.BestModel(tmp_path / "best.keras", monitor="loss", mode="min")
        state = tmp_path / "state.ckpt"
        training.fit(model, Batches(), epochs=1, state=state, callbacks=[best])
        return model.get_weights()

    expected = fitted()
    (tmp_path / "best.keras").unlink()
    for one, other in zip(fitted(), expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "best.keras").exists()


def test_the_best_model_is_written_as_seldom_as_its_share_of_the_time_asks(tmp_path, monkeypatch):
    now, written = [0.0], []
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("kerakit.training.best_model.time", clock)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    best = training.BestModel(tmp_path / "best.keras", monitor="loss", mode="min")
    best.set_model(model)

    def save(file):
        file.write_text("a model")
        written.append(now[0])
        now[0] += 1.0  # of which an epoch's 30 seconds are no hundredth

    model.save = save
    for moments in ([30, 150, 180], [120, 180]):
        now[0] += 1000.0  # between two trainings: no time of either
        start = now[0]
        best.on_train_begin()
        for epoch in range(6):
            now[0] = start + 30.0 * (epoch + 1)
            best.on_epoch_end(epoch, {"loss": -now[0]})
        best.on_train_end()
        assert [moment - start for moment in written] == moments
        written.clear()


def test_a_run_that_diverges_ends(tmp_path):
    made = make(tmp_path)
    made.model.compile(keras.optimizers.SGD(1e30), loss="mse", metrics=["mae"])
    with pytest.raises(InputError, match="The loss is nan after epoch 1: the training diverged"):
        fit(made, tmp_path, save_every=60)
    assert not list(tmp_path.iterdir())


def test_mode_is_checked(tmp_path):
    with pytest.raises(ValueError, match='`mode` must be "max" or "min", got \'auto\''):
        training.BestModel(tmp_path / "best.keras", monitor="loss", mode="auto")


class _OfTwoShapes(Batches):
    """As many batches of 8 rows as told, then of 6."""

    def __init__(self, first):
        super().__init__()
        self.first = first

    def starting_at(self, step):
        def batches():
            for number in itertools.count(step):
                rows = 8 if number < self.first else 6
                yield np.ones((rows, 6), "float32"), np.ones((rows, 3), "float32")

        shapes = (tf.TensorSpec((None, 6)), tf.TensorSpec((None, 3)))
        return tf.data.Dataset.from_generator(batches, output_signature=shapes)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="knows no such batches")
def test_batches_of_another_shape_fail_once_they_cost_a_compilation(tmp_path):
    made = make(tmp_path)
    with pytest.raises(InputError, match="compiled again in epoch 2: batches changed their shape"):
        fit(made, tmp_path, batches=_OfTwoShapes(STEPS + 2))


class _Retraces(keras.callbacks.Callback):
    """Has TensorFlow trace the step once more, in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.train_step(next(iter(Batches().starting_at(0))))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="steps are called otherwise")
def test_a_step_that_is_traced_again_fails(tmp_path):
    made = make(tmp_path)
    made.callbacks.append(_Retraces())
    with pytest.raises(InputError, match="The training step was compiled again in epoch 2"):
        fit(made, tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="has no unknown shapes")
def test_under_xla_a_batch_of_unknown_shape_is_refused(tmp_path):
    made = make(tmp_path)
    made.model.jit_compile = True
    with pytest.raises(InputError, match=r"unknown shape \(None, 6\) cannot be trained under XLA"):
        fit(made, tmp_path, batches=_OfTwoShapes(STEPS + 2))


def test_in_the_first_epoch_they_may_differ(tmp_path):
    made = make(tmp_path)
    fit(made, tmp_path, batches=_OfTwoShapes(2), epochs=3)
    assert "train_step" not in vars(made.model)


def test_a_step_that_a_callback_made_anew_is_another(tmp_path):
    made = make(tmp_path)
    made.callbacks.append(
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: made.model.make_train_function(force=epoch == 2)
        )
    )
    fit(made, tmp_path, epochs=4)


# Every step; or at the end, and at those of epochs for which 1 % of the time is enough.
@pytest.mark.parametrize(("every", "saves"), [(0, {3 * STEPS}), (60.0, {1, 2, 3})])
def test_says_what_saving_took(tmp_path, capsys, every, saves):
    fit(make(tmp_path), tmp_path, epochs=3, save_every=every)
    (said,) = (line for line in capsys.readouterr().out.splitlines() if "saved" in line)
    count, share = re.fullmatch(
        r"The state was saved (\d+) times, in ([\d.]+)% of the training's time", said
    ).groups()
    assert int(count) in saves
    assert 0 < float(share) < 100
