import keras
import pytest

from tests.conformance.case import assert_close, compiled, small_model
from tests.conformance.cases import METRICS


@pytest.fixture(params=METRICS, ids=str)
def case(request):
    return request.param


def result_of(metric, *inputs):
    metric.update_state(*inputs)
    return metric.result()


def figures_of(metric):
    """The result by name, as Keras logs it: a single figure under the metric's name."""
    result = metric.result()
    result = result if isinstance(result, dict) else {metric.name: result}
    return {name: float(value) for name, value in result.items()}


def test_config_round_trip(case):
    metric = case.make()
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()
    for name, value in case.config.items():
        assert metric.get_config()[name] == value
    assert_close(result_of(again, *case.inputs), result_of(metric, *case.inputs), rtol=0, atol=0)


def test_keras_file_and_fit_logs(case, tmp_path):
    y_true, y_pred = case.inputs
    if isinstance(y_pred, dict):
        pytest.skip("Keras splits dictionaries over metrics: see tests/models/detection")
    model = small_model(y_pred, outputs=y_pred.shape[-1])
    sparse = "sparse_" if y_true.ndim < y_pred.ndim else ""
    model.compile("sgd", loss=f"{sparse}categorical_crossentropy", metrics=[case.make()])
    expected = model.evaluate(y_pred, y_true, verbose=0, return_dict=True)
    assert set(figures_of(case.make())) <= set(expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    figures = again.evaluate(y_pred, y_true, verbose=0, return_dict=True)
    assert figures == pytest.approx(expected, rel=1e-6)


def test_xla(case):
    metric = case.make()
    expected = result_of(metric, *case.inputs)
    variables = [v.value for v in case.make().variables]

    def pure(*inputs):
        state = metric.stateless_update_state(variables, *inputs)
        return state, metric.stateless_result(state)

    state, result = compiled(pure)(*case.inputs)
    assert_close(metric.stateless_result(state), expected)
    if not hasattr(metric, "placeholder"):  # which stands for figures that the host makes
        assert_close(result, expected)


def test_parts_merge_into_the_whole(case):
    whole, first, second = case.make(), case.make(), case.make()
    third = len(keras.tree.flatten(case.inputs)[0]) // 3
    for part, rows in ((first, slice(third)), (second, slice(third, None))):
        part.update_state(*keras.tree.map_structure(lambda x, rows=rows: x[rows], case.inputs))
    first.merge_state([second])
    assert_close(first.result(), result_of(whole, *case.inputs), rtol=1e-7)


def test_reset_forgets(case):
    metric = case.make()
    fresh = figures_of(metric)
    result_of(metric, *case.inputs)
    metric.reset_state()
    assert figures_of(metric) == fresh
