import keras
import numpy as np
import pytest

from tests.conformance.case import assert_close, small_model
from tests.conformance.cases import CALLBACKS


@pytest.fixture(params=CALLBACKS, ids=str)
def case(request):
    return request.param


class TakeState(keras.callbacks.Callback):
    """Keeps another callback's state of the third epoch: its beginning, and two steps on."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback
        self.is_here = False
        self.at_begin = self.inside = None

    def on_epoch_begin(self, epoch, logs=None):
        self.is_here = epoch == 2
        if self.is_here:
            self.at_begin = self.callback.get_state()

    def on_train_batch_end(self, batch, logs=None):
        if self.is_here and batch == 1:
            self.inside = self.callback.get_state()


def fitted(*callbacks, initial_epoch=0, **options):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(24, 5)).astype("float32"), rng.normal(size=(24, 3)).astype("float32")
    model = small_model(x)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    model.compile("sgd", loss="mse", **options)
    history = model.fit(
        x, y, initial_epoch=initial_epoch, epochs=3, batch_size=8, shuffle=False, verbose=0,
        validation_data=(x, y), callbacks=list(callbacks),
    )  # fmt: skip
    return model, history.history


def test_runs_the_same_under_xla(case):
    plain, figures = fitted(case.make(), jit_compile=False)
    compiled, compiled_figures = fitted(case.make(), jit_compile=True)
    assert_close(compiled.weights, plain.weights, rtol=1e-4)
    assert figures.keys() == compiled_figures.keys()
    for key, values in figures.items():
        np.testing.assert_allclose(compiled_figures[key], values, rtol=1e-3)


def test_state_round_trip(case):
    callback = case.make()
    if not hasattr(callback, "get_state"):
        pytest.skip("it keeps nothing between epochs")
    first = TakeState(callback)
    fitted(callback, first)
    assert first.inside
    again = case.make()
    again.set_state(first.inside)
    resumed = TakeState(again)
    fitted(again, resumed, initial_epoch=2)
    np.testing.assert_equal(resumed.at_begin, first.inside)
