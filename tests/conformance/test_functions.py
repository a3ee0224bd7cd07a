import keras
import numpy as np
import pytest

from kerakit import gradients
from tests.conformance.case import assert_close, compiled, first_of_batch, in_float64
from tests.conformance.cases import FUNCTIONS


@pytest.fixture(params=FUNCTIONS, ids=str)
def case(request):
    return request.param


def test_xla(case):
    expected = case.part(*case.inputs, **case.config)
    assert_close(compiled(lambda *x: case.part(*x, **case.config))(*case.inputs), expected)


def test_examples_do_not_see_each_other(case):
    whole = case.part(*case.inputs, **case.config)
    one = case.part(*first_of_batch(case.inputs), **case.config)
    assert_close(one, keras.tree.map_structure(lambda x: x[:1], whole))


def test_gradients(case):
    if case.differentiable:
        inputs = in_float64(case.inputs)
        report = gradients.check(lambda *x: case.part(*x, **case.config), *inputs)
        assert report.passed, str(report)


def test_takes_numpy_and_keeps_finite(case):
    outputs = keras.tree.flatten(case.part(*case.inputs, **case.config))
    assert all(np.isfinite(np.asarray(y)).all() for y in outputs)
