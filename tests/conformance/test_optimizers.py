import keras
import numpy as np
import pytest

from tests.conformance.case import assert_close, small_model
from tests.conformance.cases import OPTIMIZERS

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(32, 5)).astype("float32"), RNG.normal(size=(32, 3)).astype("float32")


@pytest.fixture(params=OPTIMIZERS, ids=str, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def plain(case):
    """What the optimizer makes of a small model, without XLA."""
    return trained(case.make(), jit_compile=False)


def trained(optimizer, *, epochs=2, model=None, **compile_options):
    if model is None:
        keras.utils.set_random_seed(1)
        model = small_model(X)
        model.compile(optimizer, loss="mse", **compile_options)
    model.fit(X, Y, epochs=epochs, batch_size=16, shuffle=False, verbose=0)
    return model


def test_config_round_trip(case, plain):
    optimizer = case.make()
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    for name, value in case.config.items():
        assert optimizer.get_config()[name] == pytest.approx(value)
    assert_close(trained(again, jit_compile=False).weights, plain.weights, rtol=0, atol=0)


def test_keras_file_goes_on_where_it_was(case, tmp_path):
    if case.config.get("use_ema") and keras.backend.backend() == "jax":
        pytest.skip("Keras 3.15 on JAX loses any optimizer's averages after a first fit")
    model = trained(case.make())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    trained(None, model=model)
    trained(None, model=again)
    assert_close(again.weights, model.weights, rtol=1e-6)
    if not case.config.get("use_ema"):  # its averages take the weights' place after each fit
        assert_close(model.weights, trained(case.make(), epochs=4).weights, rtol=1e-6)


def test_xla(case, plain):
    assert_close(trained(case.make(), jit_compile=True).weights, plain.weights, rtol=1e-4)


def test_loss_scaling(case, plain):
    scaled = keras.optimizers.LossScaleOptimizer(case.make(), initial_scale=1024.0)
    assert_close(trained(scaled).weights, plain.weights, rtol=1e-4)
