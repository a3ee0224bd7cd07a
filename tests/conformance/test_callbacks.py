import numpy as np
import pytest

from tests.conformance.case import assert_close, small_model
from tests.conformance.cases import CALLBACKS


@pytest.fixture(params=CALLBACKS, ids=str)
def case(request):
    return request.param


def fitted(callback, *, epochs=3, **options):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(24, 5)).astype("float32"), rng.normal(size=(24, 3)).astype("float32")
    model = small_model(x)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    model.compile("sgd", loss="mse", **options)
    history = model.fit(
        x, y, epochs=epochs, batch_size=8, shuffle=False, verbose=0,
        validation_data=(x, y), callbacks=[callback],
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
    fitted(callback)
    again = case.make()
    again.set_state(callback.get_state())
    assert str(again.get_state()) == str(callback.get_state())
