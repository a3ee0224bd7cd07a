import keras
import numpy as np
import pytest

from kerakit import gradients
from tests.conformance.case import assert_close, compiled, numpy, small_model
from tests.conformance.cases import LOSSES


@pytest.fixture(params=LOSSES, ids=str)
def case(request):
    return request.param


def test_config_round_trip(case):
    loss = case.make()
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    for name, value in case.config.items():
        assert loss.get_config()[name] == value
    assert_close(again(*case.inputs), loss(*case.inputs), rtol=0, atol=0)


def test_keras_file(case, tmp_path):
    y_true, y_pred = case.inputs
    model = small_model(y_pred, outputs=y_pred.shape[-1])
    model.compile("sgd", loss=case.make())
    expected = model.evaluate(y_pred, y_true, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(y_pred, y_true, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert again.loss.get_config() == model.loss.get_config()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_predictions_are_summed_in_float32(case, dtype):
    y_true, y_pred = case.inputs
    low = keras.ops.cast(y_pred, dtype)
    loss = case.make()(y_true, low)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert_close(loss, case.make()(y_true, numpy(low)))


def test_xla(case):
    loss = case.make()
    assert_close(compiled(lambda *x: loss(*x))(*case.inputs), loss(*case.inputs))


def test_weights_of_zero_leave_examples_out(case):
    y_true, y_pred = case.inputs
    each = numpy(case.make(reduction=None)(y_true, y_pred))
    assert each.shape == (len(y_pred),)
    weights = np.arange(len(y_pred)) % 2
    weighted = numpy(case.make(reduction="sum")(y_true, y_pred, sample_weight=weights))
    np.testing.assert_allclose(weighted, each[1::2].sum(), rtol=1e-5)


def test_gradients(case):
    y_true, y_pred = case.inputs
    loss = case.make(dtype="float64")
    report = gradients.check(lambda x: loss(y_true, x), y_pred.astype("float64"))
    assert report.passed, str(report)
