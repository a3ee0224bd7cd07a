import contextlib

import keras
import numpy as np
import pytest

from kerakit.training import BestModel, EvaluateAverages, averages_in

X = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")
MOMENTUM = 0.9


@pytest.fixture(params=["float32", "mixed_float16"])
def model(request):
    """Learns y = 2 x; its loss is scaled under float16."""
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", dtype=request.param)
    model = keras.Model(inputs, dense(inputs))
    optimizer = keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=MOMENTUM)
    if request.param == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


class Watch(keras.callbacks.Callback):
    """The weight after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(float(self.model.layers[-1].kernel.numpy()[0, 0]))


def test_epochs_are_judged_and_kept_by_the_averages(model, tmp_path):
    watch = Watch()
    best = BestModel(tmp_path / "best.keras", monitor="val_mae", mode="min", averaged=True)
    callbacks = [watch, EvaluateAverages(), best]
    history = model.fit(
        X, 2 * X, batch_size=1, epochs=3, shuffle=False, verbose=0,
        validation_data=(X, 2 * X), callbacks=callbacks,
    )  # fmt: skip
    average, ends = watch.weights[0], []
    for step, weight in enumerate(watch.weights):
        average = MOMENTUM * average + (1 - MOMENTUM) * weight if step else weight
        if step % 4 == 3:
            ends.append(average)
    expected = [np.abs(2 * X - end * X).mean() for end in ends]
    np.testing.assert_allclose(history.history["val_mae"], expected, rtol=5e-3)
    kept = keras.saving.load_model(tmp_path / "best.keras", compile=False)
    assert float(kept.layers[-1].kernel.numpy()[0, 0]) == pytest.approx(ends[-1], rel=1e-5)
    assert float(model.layers[-1].kernel.numpy()[0, 0]) == pytest.approx(ends[-1], rel=1e-5)


def test_the_trained_weights_come_back_after_an_error(model):
    model.train_on_batch(X, 2 * X)
    model.train_on_batch(X, 2 * X)
    before = model.get_weights()
    with contextlib.suppress(RuntimeError), averages_in(model):
        assert model.get_weights()[0] != before[0]
        raise RuntimeError
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_without_averages_nothing_happens():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with averages_in(model):
        np.testing.assert_array_equal(model.get_weights()[0], before[0])
