import keras
import numpy as np
import pytest

from kerakit import gradients
from tests.conformance.case import assert_close, compiled
from tests.conformance.cases import FUNCTIONS


@pytest.fixture(params=FUNCTIONS, ids=str)
def case(request):
    return request.param


def test_xla(case):
    expected = case.part(*case.inputs, **case.config)
    assert_close(compiled(lambda *x: case.part(*x, **case.config))(*case.inputs), expected)


def test_examples_do_not_see_each_other(case):
    whole = case.part(*case.inputs, **case.config)
    one = case.part(*[x[:1] for x in case.inputs], **case.config)
    assert_close(one, keras.tree.map_structure(lambda x: x[:1], whole))


def test_gradients(case):
    if case.differentiable:
        inputs = [x.astype("float64") if x.dtype.kind == "f" else x for x in case.inputs]
        report = gradients.check(lambda *x: case.part(*x, **case.config), *inputs)
        assert report.passed, str(report)


def test_takes_numpy_and_keeps_finite(case):
    assert np.isfinite(np.asarray(case.part(*case.inputs, **case.config))).all()
