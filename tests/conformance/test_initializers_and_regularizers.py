import keras
import numpy as np
import pytest

from kerakit import gradients
from tests.conformance.case import assert_close, compiled
from tests.conformance.cases import INITIALIZERS, REGULARIZERS


@pytest.mark.parametrize("case", INITIALIZERS + REGULARIZERS, ids=str)
def test_config_round_trip(case):
    part = case.make()
    again = type(part).from_config(part.get_config())
    assert again.get_config() == part.get_config()
    for name, value in case.config.items():
        assert part.get_config()[name] == pytest.approx(value)


@pytest.mark.parametrize("case", INITIALIZERS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_initializer_draws_in_the_dtype_and_by_the_seed(case, dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is switched on for the process")
    shape = case.inputs[0].shape if case.inputs else (64, 32)
    values = case.make()(shape, dtype=dtype)
    assert keras.backend.standardize_dtype(values.dtype) == dtype
    assert_close(case.make()(shape, dtype=dtype), values, rtol=0, atol=0)


@pytest.mark.parametrize("case", INITIALIZERS + REGULARIZERS, ids=str)
def test_keras_file(case, tmp_path):
    option = "kernel_initializer" if case in INITIALIZERS else "kernel_regularizer"
    part = {option: case.make()}
    layer, shape = keras.layers.Dense(3, **part), (4,)
    if case.inputs:  # of a convolution's kernel
        layer, shape = keras.layers.Conv2DTranspose(3, 4, **part), (5, 5, 3)
    model = keras.Sequential([keras.Input(shape), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(getattr(again.layers[0], option)) is case.part
    assert_close(again.losses, model.losses)


@pytest.mark.parametrize("case", REGULARIZERS, ids=str)
def test_regularizer_under_xla_and_its_gradient(case):
    weights = np.random.default_rng(7).normal(size=(5, 4))
    single = keras.ops.convert_to_tensor(weights.astype("float32"))
    assert_close(compiled(lambda w: case.make()(w))(single), case.make()(single))
    report = gradients.check(case.make(), weights)
    assert report.passed, str(report)
