"""What the sheet says of regularization beyond the formulas, on small cases."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit.callbacks import EarlyStopping
from kerakit.optimizers import SGD
from kerakit.regularizers import L1, L2


def penalty(regularizer, weights):
    return float(regularizer(ops.convert_to_tensor(weights, "float32")))


def test_l2_prefers_spread_weights_and_l1_does_not():
    """Both give the same answer for inputs of one; the spread one costs a quarter under L2."""
    one, spread = [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]
    assert penalty(L2(0.1), spread) == pytest.approx(penalty(L2(0.1), one) / 4)
    assert penalty(L1(0.1), spread) == pytest.approx(penalty(L1(0.1), one))


def test_l2_weighs_large_weights_more():
    assert penalty(L2(0.1), [10.0]) == pytest.approx(100 * penalty(L2(0.1), [1.0]))
    assert penalty(L1(0.1), [10.0]) == pytest.approx(10 * penalty(L1(0.1), [1.0]))


def test_l1_makes_weights_exactly_zero_and_l2_does_not():
    """Where (w - wanted)^2 / 2 + penalty is smallest, sought on a grid that holds 0."""
    grid = np.arange(-20, 41) / 20
    of_l1 = np.array([penalty(L1(0.3), [w]) for w in grid])
    of_l2 = np.array([penalty(L2(0.3), [w]) for w in grid])
    for wanted in (-0.25, -0.1, 0.0, 0.2, 0.35, 2.0):
        fit = (grid - wanted) ** 2 / 2
        lowest = grid[np.argmin(fit + of_l1)]
        assert lowest == pytest.approx(np.sign(wanted) * max(0.0, abs(wanted) - 0.3), abs=1e-12)
        assert (lowest == 0) == (abs(wanted) <= 0.3)
        lowest = grid[np.argmin(fit + of_l2)]
        assert lowest == pytest.approx(wanted / 1.3, abs=0.025 + 1e-12)
        assert (lowest == 0) == (wanted == 0)


def test_early_stopping_prevents_overfitting(rng):
    """More weights than noisy examples: the training loss falls on, the other rises."""
    x, weights = rng.normal(size=(60, 40)).astype("float32"), rng.normal(size=(40, 1))
    y = x @ weights + 6 * rng.normal(size=(60, 1))
    learn, judge = slice(30), slice(30, None)
    losses = {}
    for stopping in (None, EarlyStopping(patience=3, restore_best_weights=True)):
        model = keras.Sequential([keras.Input((40,)), layers.Dense(1, kernel_initializer="zeros")])
        model.compile(SGD(0.08), "mse")
        history = model.fit(
            x[learn],
            y[learn],
            validation_data=(x[judge], y[judge]),
            epochs=20,
            verbose=0,
            callbacks=[stopping] if stopping else [],
        )
        assert len(history.epoch) < 10 if stopping else len(history.epoch) == 20
        predicted = model.predict(x, verbose=0)
        losses[bool(stopping)] = [((predicted - y)[part] ** 2).mean() for part in (learn, judge)]
    assert losses[False][0] < 0.2 * losses[True][0]  # the longer run fits its examples better
    assert losses[False][1] > 1.15 * losses[True][1]  # and new ones worse


def test_batch_norm_lets_an_examples_batch_shake_it_in_training(rng):
    """The noise that regularizes: what an example becomes depends on those it comes with."""
    layer = layers.BatchNormalization()
    batches = rng.normal(size=(50, 16, 1)).astype("float32")
    batches[:, 0] = 1.0  # the same example in each batch
    became = {
        training: [ops.convert_to_numpy(layer(batch, training=training))[0, 0] for batch in batches]
        for training in (True, False)
    }
    # Means and deviations of 16 draws are off by about 1/4 and 1/6.
    assert 0.1 < np.std(became[True]) < 0.6
    assert np.ptp(became[False]) == 0
