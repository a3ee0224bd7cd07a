"""Short trainings that end where they began: one batch by heart, starts, a range of rates."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit.diagnose import compare_starts, learning_rate_range, overfit_one_batch
from kerakit.diagnose.borrowed import borrowed
from tests.diagnose.digits import compiled, images, network

SLOW = functools.partial(pytest.param, marks=pytest.mark.slow)  # five models are traced
TRIALS = {
    "overfit_one_batch": lambda model, x, y: overfit_one_batch(model, x, y, steps=3),
    "compare_starts": lambda model, x, y: compare_starts(model, x, y, steps=2),
    "learning_rate_range": lambda model, x, y: learning_rate_range(model, x, y, steps=4),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial", ["overfit_one_batch", SLOW("compare_starts"), SLOW("learning_rate_range")]
)
def test_the_model_is_as_it_was(trial):
    x, y = images()
    twin, model = (
        compiled(network(norm=True, front=[layers.GaussianNoise(0.1, seed=3)])) for _ in range(2)
    )
    twin.set_weights(model.get_weights())
    for one in (model, twin):
        one.fit(x[:64], y[:64], batch_size=32, shuffle=False, verbose=0)
    before = [ops.convert_to_numpy(v) for v in model.variables + model.optimizer.variables]
    optimizer = model.optimizer
    TRIALS[trial](model, x, y)
    assert model.optimizer is optimizer
    after = model.variables + model.optimizer.variables
    for variable, value in zip(after, before, strict=True):
        if "loss" not in variable.path:
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    # It goes on as if nothing had been.
    for one in (model, twin):
        one.fit(x[64:128], y[64:128], batch_size=32, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_healthy_model_learns_a_batch_by_heart():
    x, y = images()
    assert overfit_one_batch(compiled(network()), x, y, steps=100) is None


@pytest.mark.parametrize("fault", ["stuck", "slow", "nan"])
def test_a_model_that_cannot(fault):
    x, y = images()
    model = network()
    optimizer = keras.optimizers.SGD(1e-6 if fault == "slow" else 0.1)
    if fault == "stuck":
        model = network(start="zeros")
    if fault == "nan":
        model.layers[-1].bias.assign(np.full(10, np.nan))
    found = overfit_one_batch(compiled(model, optimizer=optimizer), x, y, steps=60)
    assert (found.rule, found.severity) == ("cannot_overfit_one_batch", "warning")
    assert found.evidence["steps"] == (1 if fault == "nan" else 60)


@pytest.mark.slow
def test_starts_find_the_better_one():
    x, y = images()
    fast = keras.optimizers.Adam(3e-3)
    stuck = compare_starts(compiled(network(start="zeros"), optimizer=fast), x, y, steps=50)
    assert stuck.finding.rule == "better_start_exists"
    assert stuck.finding.evidence["best"] in ("xavier", "he", "normal 0.01")
    assert stuck.last("zero") == pytest.approx(np.log(10), abs=0.1)
    assert stuck.last("he") < 1.2
    assert str(stuck).splitlines()[2].split()[0] == "zero"
    fine = compare_starts(compiled(network(start="he_normal"), optimizer=fast), x, y, steps=50)
    assert fine.finding is None


def test_a_range_of_rates_by_a_loop():
    """A least-squares problem whose steps NumPy repeats, and whose limit is known."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype("float32")
    y = (x @ np.array([1.0, -2.0, 0.5, 3.0], "float32"))[:, None]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, use_bias=False)])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
    weights = ops.convert_to_numpy(model.layers[0].kernel).astype("float64")
    found = learning_rate_range(model, x, y, lowest=1e-4, highest=10.0, steps=60)
    expected = []
    for rate in 1e-4 * 1e5 ** (np.arange(60) / 59):
        error = x @ weights - y
        expected.append(np.mean(error**2))
        weights -= rate * 2 * x.T @ error / len(x)
    # Until float32 has nothing left of the loss.
    np.testing.assert_allclose(found.losses[:40], expected[:40], rtol=1e-3)
    assert len(found.losses) < 60
    # Gradient descent diverges above 2 / the largest eigenvalue of the Hessian.
    limit = 2 / np.linalg.eigvalsh(2 * x.T @ x / len(x)).max()
    assert 0.01 * limit < found.suggested < limit


def test_a_schedule_is_set_aside_and_comes_back():
    x, y = images()
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    model = compiled(network(), optimizer=keras.optimizers.Adam(schedule))
    found = learning_rate_range(model, x, y, lowest=1e-5, highest=1e-3, steps=5)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-5, 1e-3, 5))
    assert model.optimizer.get_config()["learning_rate"]["class_name"] == "CosineDecay"


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    x, y = images()
    found = learning_rate_range(compiled(network()), x, y, lowest=1e-5, highest=3.0, steps=60)
    figure = found.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 5000
    drawn = figure.axes[0].lines[1].get_xydata()
    np.testing.assert_allclose(drawn, np.column_stack([found.rates, found.smoothed]))


def test_errors():
    x, y = images()
    model = compiled(network())
    with (
        pytest.raises(ValueError, match="`model` must be built and compiled"),
        borrowed(keras.Sequential([layers.Dense(1)])),
    ):
        pass
    with pytest.raises(ValueError, match="`steps` must be positive, got 0"):
        overfit_one_batch(model, x, y, steps=0)
    with pytest.raises(ValueError, match="`batch_size` must be positive, got 0"):
        overfit_one_batch(model, x, y, batch_size=0)
    with pytest.raises(ValueError, match="`steps` must be positive, got 0"):
        compare_starts(model, x, y, steps=0)
    bare = keras.Sequential([keras.Input((8, 8, 1)), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="`model` must have layers with a kernel, got none"):
        compare_starts(compiled(bare), x, y)
    with pytest.raises(ValueError, match="`lowest` must be in .0, highest., got 1 and 0.1"):
        learning_rate_range(model, x, y, lowest=1, highest=0.1)
    with pytest.raises(ValueError, match="`steps` must be at least 2, got 1"):
        learning_rate_range(model, x, y, steps=1)
