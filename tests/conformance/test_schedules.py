import keras
import numpy as np
import pytest

from tests.conformance.case import assert_close, compiled, small_model
from tests.conformance.cases import SCHEDULES

STEPS = [0, 1, 9, 10, 11, 99, 1000]


@pytest.fixture(params=SCHEDULES, ids=str)
def case(request):
    return request.param


def test_config_round_trip(case):
    schedule = case.make()
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(again) == config
    assert [float(again(s)) for s in STEPS] == [float(schedule(s)) for s in STEPS]


def test_xla(case):
    schedule = case.make()
    run = compiled(lambda s: schedule(s))
    for step in STEPS:
        assert_close(run(np.int32(step)), schedule(step))


def test_keras_file(case, tmp_path):
    x = np.ones((2, 3), "float32")
    model = small_model(x)
    model.compile(keras.optimizers.SGD(case.make()), loss="mse")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.optimizer.iterations.assign(10)
    assert float(again.optimizer.learning_rate) == pytest.approx(float(case.make()(10)))
