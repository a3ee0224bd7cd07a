import keras
import numpy as np
import pytest

from kerakit import gradients
from tests.conformance.case import assert_close, compiled, first_of_batch, in_float64, numpy
from tests.conformance.cases import LAYERS


def model_of(case, **more):
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), list(case.inputs)
    )
    return keras.Model(one_or_all(inputs), case.make(**more)(*inputs))


def one_or_all(inputs):
    return inputs[0] if len(inputs) == 1 else list(inputs)


@pytest.fixture(params=LAYERS, ids=str)
def case(request):
    return request.param


def test_config_round_trip(case):
    layer = case.make()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for name, value in case.config.items():
        if isinstance(value, keras.layers.Layer):  # a wrapper's
            value = keras.saving.serialize_keras_object(value)
        assert layer.get_config()[name] == value
    expected = layer(*case.inputs)
    again(*case.inputs)
    again.set_weights(layer.get_weights())
    assert_close(again(*case.inputs), expected)


def test_keras_file(case, tmp_path):
    model = model_of(case)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again(one_or_all(case.inputs)), model(one_or_all(case.inputs)), rtol=1e-6)


def test_saved_model(case, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModels are written by the TensorFlow backend")
    import tensorflow as tf

    model = model_of(case)
    model.export(tmp_path / "saved", verbose=False)
    again = tf.saved_model.load(tmp_path / "saved")
    assert_close(again.serve(one_or_all(case.inputs)), model(one_or_all(case.inputs)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(case, policy):
    layer = case.make()
    expected = numpy(layer(*case.inputs))
    mixed = case.make(dtype=policy)
    mixed(*case.inputs)
    mixed.set_weights(layer.get_weights())
    assert all(w.dtype == "float32" for w in mixed.weights)
    digits = 2.0**-6 if policy == "mixed_bfloat16" else 2.0**-9
    outputs = zip(*map(keras.tree.flatten, (mixed(*case.inputs), expected)), strict=True)
    for output, target in outputs:
        assert_close(output, target, rtol=digits, atol=digits * np.abs(target).max())


def test_xla(case):
    layer = case.make()
    expected = layer(*case.inputs)
    assert_close(compiled(lambda *x: layer(*x))(*case.inputs), expected)


def test_unknown_batch_size(case):
    model = model_of(case)
    whole = model(one_or_all(case.inputs))
    one = model(one_or_all(first_of_batch(case.inputs)))
    outputs = zip(*map(keras.tree.flatten, (model.output, whole, one)), strict=True)
    for symbolic, of_all, of_one in outputs:
        assert symbolic.shape == (None, *of_all.shape[1:])
        assert_close(of_one, of_all[:1])


def test_gradients(case):
    if case.differentiable:
        with gradients.float64_scope():
            layer = case.make(dtype="float64")
            report = gradients.check(layer, *in_float64(case.inputs))
        assert report.passed, str(report)
