"""GradientClipping against a training loop in NumPy, and against Keras's own clipping."""

import math

import keras
import numpy as np
import pytest

import kerakit.optimizers
from kerakit.callbacks import GradientClipping
from kerakit.errors import InputError

BATCH, STEPS, RATE = 4, 6, 0.1
KEYS = ["gradient_norm", "gradient_norm_max", "clipped_share", "nonfinite_gradients"]


@pytest.fixture
def data(rng):
    # Batches of growing size, so that some gradients are clipped and some are not.
    scale = np.repeat(np.linspace(0.3, 1.5, STEPS), BATCH)[:, None]
    return (
        (scale * rng.normal(size=(BATCH * STEPS, 3))).astype("float32"),
        (scale * rng.normal(size=(BATCH * STEPS, 2))).astype("float32"),
    )


def linear_model(optimizer, *, jit_compile="auto"):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.set_weights([np.linspace(-1, 1, 6).reshape(3, 2), np.array([0.5, -0.25])])
    model.compile(optimizer, loss="mse", jit_compile=jit_compile)
    return model


def fit(model, data, *callbacks, epochs=1, **options):
    x, y = data
    return model.fit(
        x, y, batch_size=BATCH, shuffle=False, verbose=0, epochs=epochs,
        callbacks=list(callbacks), **options,
    ).history  # fmt: skip


def trained_by_loop(data, *, epochs, norm=None, variable_norm=None, value=None, accumulate=1):
    """SGD with clipping in float64: weights, and the logs of each epoch."""
    x, y = (array.astype("float64") for array in data)
    weights, bias = np.linspace(-1, 1, 6).reshape(3, 2), np.array([0.5, -0.25])
    logs, held = {key: [] for key in KEYS}, []
    for _ in range(epochs):
        norms, clipped = [], []
        for step in range(STEPS):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            error = 2 * (x[rows] @ weights + bias - y[rows]) / (BATCH * 2)
            held.append((x[rows].T @ error, error.sum(axis=0)))
            if len(held) < accumulate:
                continue
            gradients, held = [sum(parts) / accumulate for parts in zip(*held, strict=True)], []
            norms.append(math.sqrt(sum((g**2).sum() for g in gradients)))
            before = gradients
            if norm:
                gradients = [g * min(1, norm / norms[-1]) for g in gradients]
            if variable_norm:
                own = [math.sqrt((g**2).sum()) for g in gradients]
                gradients = [
                    g * min(1, variable_norm / n) for g, n in zip(gradients, own, strict=True)
                ]
            if value:
                gradients = [np.clip(g, -value, value) for g in gradients]
            clipped.append(any((a != b).any() for a, b in zip(gradients, before, strict=True)))
            weights, bias = weights - RATE * gradients[0], bias - RATE * gradients[1]
        figures = [np.mean(norms), max(norms), np.mean(clipped), 0]
        for key, number in zip(KEYS, figures, strict=True):
            logs[key].append(number)
    return [weights, bias], logs


THRESHOLDS = [{"norm": 1.0}, {"variable_norm": 0.8}, {"value": 0.8}]
KERAS_NAMES = {"norm": "global_clipnorm", "variable_norm": "clipnorm", "value": "clipvalue"}


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: next(iter(t)))
@pytest.mark.parametrize(
    ("accumulate", "jit_compile"), [(1, "auto"), (2, True), (3, "auto")], ids=["1", "2_jit", "3"]
)
def test_equals_the_loop_and_keras(data, threshold, accumulate, jit_compile):
    steps = accumulate if accumulate > 1 else None
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=steps)
    model = linear_model(optimizer, jit_compile=jit_compile)
    history = fit(model, data, GradientClipping(**threshold), epochs=2)
    weights, logs = trained_by_loop(data, epochs=2, accumulate=accumulate, **threshold)
    assert 0 < sum(logs["clipped_share"]) < 2  # else the case shows little
    for key in KEYS:
        np.testing.assert_allclose(history[key], logs[key], rtol=2e-6)  # float32
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

    ((name, number),) = threshold.items()
    options = {KERAS_NAMES[name]: number, "gradient_accumulation_steps": steps}
    plain = linear_model(keras.optimizers.SGD(RATE, **options), jit_compile=jit_compile)
    fit(plain, data, epochs=2)
    for actual, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("of", [kerakit.optimizers.SGD, kerakit.optimizers.Adam])
def test_with_kerakits_optimizers(data, of):
    first = data[0][:BATCH], data[1][:BATCH]
    clipped = linear_model(of(RATE))
    history = fit(clipped, first, GradientClipping(0.1))
    free = linear_model(keras.optimizers.SGD(0.0))
    norms = fit(free, first, GradientClipping(1e6))
    assert history["gradient_norm"] == pytest.approx(norms["gradient_norm"])
    assert (history["clipped_share"], norms["clipped_share"]) == ([1.0], [0.0])
    plain = linear_model(of(RATE, global_clipnorm=0.1))
    fit(plain, first)
    for actual, expected in zip(clipped.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_loss_scaling_is_undone_and_skipped_steps_are_not_counted(data):
    x, y = data
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE))
    model = linear_model(optimizer)
    history = fit(model, data, GradientClipping(1.0))
    weights, logs = trained_by_loop(data, epochs=1, norm=1.0)
    for key in KEYS:
        np.testing.assert_allclose(history[key], logs[key], rtol=2e-6)
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

    broken = x.copy()
    broken[BATCH] = np.inf  # the second of six steps
    model = linear_model(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0)))
    history = fit(model, (broken, y), GradientClipping(1e-9))
    assert (history["clipped_share"], history["nonfinite_gradients"]) == ([1.0], [0.0])
    assert np.isfinite(history["gradient_norm"][0])


def test_nonfinite_gradients_spoil_neither_mean_nor_share(data):
    x, y = data
    model = linear_model(keras.optimizers.SGD(0.0))
    clean = fit(model, (x[BATCH:], y[BATCH:]), GradientClipping(value=0.5))
    x = x.copy()
    x[0] = 1e30
    history = fit(model, (x, y), GradientClipping(value=0.5), epochs=2)
    for key in KEYS[:3]:
        np.testing.assert_allclose(history[key], clean[key] * 2, rtol=1e-6)
    assert history["nonfinite_gradients"] == [1.0, 1.0]
    history = fit(model, (x[:BATCH], y[:BATCH]), GradientClipping(value=0.5))
    assert history["nonfinite_gradients"] == [1.0]
    assert all(math.isnan(history[key][0]) for key in KEYS[:3])


def test_rows_of_an_embedding_are_added_before_they_are_squared():
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(5, 2),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.set_weights([np.ones((5, 2)), np.ones((2, 1)), np.zeros(1)])
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    ids, targets = np.array([[1, 1, 1, 1], [1, 2, 2, 2]]), np.array([[5.0], [3.0]])
    history = model.fit(ids, targets, verbose=0, callbacks=[GradientClipping(1.0)]).history
    # Rows 1 and 2 get -3.25 and -0.75 in both columns, the kernel -4 twice, the bias -4.
    norm = math.sqrt(2 * (3.25**2 + 0.75**2) + 2 * 16 + 16)
    assert history["gradient_norm"][0] == pytest.approx(norm, rel=1e-6)
    rows = model.layers[0].get_weights()[0]
    np.testing.assert_allclose(rows[1], 1 + 3.25 / norm, rtol=1e-6)
    np.testing.assert_allclose(rows[2], 1 + 0.75 / norm, rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_leaves_no_trace(data, scaled):
    inner = optimizer = keras.optimizers.SGD(RATE)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(inner)
    model = linear_model(optimizer)
    start = model.get_weights()
    fit(model, data, GradientClipping(1e-3))
    assert all("gradient_clipping" not in variable.path for variable in optimizer.variables)
    for hooked in (inner, optimizer):
        assert not {"_clip_gradients", "save_own_variables", "load_own_variables"} & set(
            vars(hooked)
        )
    assert [inner.global_clipnorm, inner.clipnorm, inner.clipvalue] == [None] * 3

    model.set_weights(start)  # and the next fit does not clip
    history = fit(model, data)
    assert "gradient_norm" not in history
    weights, _ = trained_by_loop(data, epochs=1)
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


class Watch(keras.callbacks.Callback):
    def __init__(self, what, *, batch=None):
        super().__init__()
        self.what, self.batch = what, batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.what(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self.batch is None:
            self.what(self.model)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("batch", [2, None], ids=["inside", "at_the_end"])
def test_saved_while_training_loads_without_it(data, tmp_path, scaled, batch):
    optimizer = keras.optimizers.Adam(RATE)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = linear_model(optimizer)
    path = tmp_path / "model.keras"
    kept = []

    def save(model):
        model.save(path)
        own = (v for v in model.optimizer.variables if "clipping" not in v.path)
        kept.extend(keras.ops.convert_to_numpy(variable).copy() for variable in own)

    history = fit(model, data, GradientClipping(1.0), Watch(save, batch=batch))
    assert history["gradient_norm"][0] > 0
    again = keras.models.load_model(path)  # a warning would fail the test
    assert len(again.optimizer.variables) == len(kept)
    for variable, value in zip(again.optimizer.variables, kept, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    assert int(again.optimizer.iterations) == (3 if batch == 2 else STEPS)
    fit(again, data, GradientClipping(1.0))  # the file says 1.0 too


def test_variables_at_an_epochs_end_are_the_optimizers_own(data):
    counts = []
    model = linear_model(keras.optimizers.Adam(RATE))
    watch = Watch(lambda model: counts.append(len(model.optimizer.variables)))
    fit(model, data, GradientClipping(1.0), watch, epochs=2)
    assert counts == [len(model.optimizer.variables)] * 2


def test_an_interrupted_fit_is_put_right_by_the_next(data):
    def interrupt(model):
        raise KeyboardInterrupt

    model = linear_model(keras.optimizers.SGD(RATE))
    start = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, GradientClipping(value=1e-3), Watch(interrupt, batch=1))
    model.set_weights(start)
    history = fit(model, data, GradientClipping(1.0))
    weights, logs = trained_by_loop(data, epochs=1, norm=1.0)
    np.testing.assert_allclose(history["gradient_norm"], logs["gradient_norm"], rtol=2e-6)
    np.testing.assert_allclose(model.get_weights()[0], weights[0], rtol=1e-5, atol=1e-6)
    assert model.optimizer.clipvalue is None
    assert model.optimizer.global_clipnorm is None


def test_an_epoch_broken_off_goes_on_with_its_numbers(data):
    x, y = data
    whole = fit(linear_model(keras.optimizers.SGD(RATE)), data, GradientClipping(1.0), epochs=2)

    first, second, states = GradientClipping(1.0), GradientClipping(1.0), []
    model = linear_model(keras.optimizers.SGD(RATE))
    fit(model, data, first)
    half = 2 * BATCH
    keep = Watch(lambda _: states.append(first.get_state()), batch=1)
    fit(model, (x[:half], y[:half]), first, keep, initial_epoch=1, epochs=2)
    assert (states[0]["epoch"], states[0]["updates"]) == (1, 2.0)
    second.set_state(states[0])
    history = fit(model, (x[half:], y[half:]), second, initial_epoch=1, epochs=2)
    for key in KEYS:
        assert history[key][0] == pytest.approx(whole[key][1], rel=1e-6)

    # The state of another epoch is nothing to this one.
    model = linear_model(keras.optimizers.SGD(0.0))
    clean = fit(model, data, GradientClipping(1.0), initial_epoch=2, epochs=3)
    second.set_state(states[0])
    history = fit(model, data, second, initial_epoch=2, epochs=3)
    assert history == clean


def test_two_in_one_fit(data):
    model = linear_model(keras.optimizers.SGD(RATE))
    with pytest.raises(InputError, match="Two GradientClipping callbacks are in one `fit`"):
        fit(model, data, GradientClipping(1.0), GradientClipping(value=1.0))


def test_an_optimizer_that_clips_already(data):
    model = linear_model(keras.optimizers.SGD(RATE, clipvalue=0.5))
    with pytest.raises(InputError, match="already clips with clipvalue=0.5; leave that out"):
        fit(model, data, GradientClipping(1.0))
    with pytest.raises(InputError, match="already clips with clipvalue=0.5"):
        fit(model, data, GradientClipping(value=0.4))
    fit(model, data, GradientClipping(value=0.5))
    assert model.optimizer.clipvalue == 0.5


def test_a_keras_without_the_hook(data, monkeypatch):
    optimizer = keras.optimizers.SGD(RATE)
    base = next(c for c in type(optimizer).__mro__ if "_clip_gradients" in vars(c))
    monkeypatch.delattr(base, "_clip_gradients")
    with pytest.raises(RuntimeError, match="method `_clip_gradients` .* SGD of Keras .* lacks"):
        fit(linear_model(optimizer), data, GradientClipping(1.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Exactly one of `norm`, `variable_norm` and `value` must be given, got none"),
        ({"norm": 1.0, "value": 2.0}, "must be given, got norm, value"),
        ({"norm": 0.0}, "`norm` must be positive and finite, got 0.0"),
        ({"variable_norm": -1.0}, "`variable_norm` must be positive and finite, got -1.0"),
        ({"value": math.inf}, "`value` must be positive and finite, got inf"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientClipping(**arguments)


def test_config_goes_round():
    config = keras.saving.serialize_keras_object(GradientClipping(variable_norm=0.5))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == {"norm": None, "variable_norm": 0.5, "value": None}
