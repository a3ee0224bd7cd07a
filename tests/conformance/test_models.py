import keras
import numpy as np
import pytest

from tests.conformance.case import assert_close, compiled
from tests.conformance.cases import MODELS


@pytest.fixture(params=MODELS, ids=str)
def case(request):
    return request.param


def trained_one_step(case, **options):
    keras.utils.set_random_seed(4)
    model = case.make()
    labels = np.arange(len(case.inputs[0])) % model.output_shape[-1]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, **options)
    figure = model.train_on_batch(case.inputs[0], labels)
    return model, float(np.asarray(figure))


def test_keras_file(case, tmp_path):
    model = case.make()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again(*case.inputs), model(*case.inputs))


def test_inference_under_xla_and_any_batch_size(case):
    model = case.make()
    expected = model(*case.inputs)
    run = compiled(lambda x: model(x))
    assert_close(run(*case.inputs), expected, rtol=1e-4, atol=1e-5)
    assert model.output_shape[0] is None
    assert_close(model(case.inputs[0][:1]), expected[:1], rtol=1e-4, atol=1e-5)


def test_a_training_step_under_xla(case):
    plain, loss = trained_one_step(case, jit_compile=False)
    compiled_model, compiled_loss = trained_one_step(case, jit_compile=True)
    assert compiled_loss == pytest.approx(loss, rel=1e-4)
    assert_close(compiled_model.weights, plain.weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(case, policy):
    before = keras.config.dtype_policy()
    _, expected = trained_one_step(case)
    try:
        keras.config.set_dtype_policy(policy)
        model, loss = trained_one_step(case)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.compute_dtype != "float32"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    assert loss == pytest.approx(expected, rel=0.05)
