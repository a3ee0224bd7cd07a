import keras
import numpy as np
import pytest

from kerakit import gradients
from kerakit.losses import SummedAbsoluteError, SummedSquaredError

# Loss, the error of one element, Keras's mean of it.
CASES = [
    (SummedSquaredError, lambda a, b: (a - b) ** 2, keras.losses.MeanSquaredError),
    (SummedAbsoluteError, lambda a, b: abs(a - b), keras.losses.MeanAbsoluteError),
]
IDS = ["squared", "absolute"]
both = pytest.mark.parametrize(("part", "error", "mean"), CASES, ids=IDS)


def by_loop(y_true, y_pred, error):
    return np.array(
        [
            sum(error(a, b) for a, b in zip(true.ravel(), pred.ravel(), strict=True))
            for true, pred in zip(y_true, y_pred, strict=True)
        ]
    )


@both
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (2, 3, 4, 2)])
def test_equals_the_loop(part, error, mean, shape, rng):
    y_true, y_pred = rng.normal(size=shape), rng.normal(size=shape)
    expected = by_loop(y_true, y_pred, error)
    with gradients.float64_scope():
        each = part(reduction=None, dtype="float64")(y_true, y_pred)
        np.testing.assert_allclose(each, expected, rtol=1e-13)
        np.testing.assert_allclose(
            part(dtype="float64")(y_true, y_pred), expected.mean(), rtol=1e-13
        )
    np.testing.assert_allclose(part()(y_true, y_pred), expected.mean(), rtol=1e-5)


@both
def test_is_keras_times_the_elements(part, error, mean, rng):
    y_true, y_pred = rng.normal(size=(6, 7)), rng.normal(size=(6, 7))
    assert float(part()(y_true, y_pred)) == pytest.approx(
        7 * float(mean()(y_true, y_pred)), rel=1e-5
    )


@both
def test_a_last_axis_of_one_never_broadcasts(part, error, mean, rng):
    y_true, y_pred = rng.normal(size=5), rng.normal(size=5)
    expected = by_loop(y_true, y_pred, error)
    for true, pred in ((y_true[:, None], y_pred), (y_true, y_pred[:, None])):
        np.testing.assert_allclose(part(reduction=None)(true, pred), expected, rtol=1e-5)


@both
def test_gradient_check(part, error, mean, rng):
    y_true = rng.normal(size=(3, 4))
    y_pred = y_true + rng.uniform(0.1, 1, (3, 4)) * rng.choice([-1, 1], (3, 4))
    gradients.check(part(dtype="float64"), y_true, y_pred).raise_if_failed()


@pytest.mark.parametrize(("part", "slope"), [(SummedSquaredError, 2.0), (SummedAbsoluteError, 1.0)])
def test_gradient_where_it_is_right_and_where_it_is_off_by_one(part, slope):
    y_pred = np.array([[1.0, 2.0, 0.0]], "float32")
    (found,) = gradients.gradient(lambda y: part()(np.ones((1, 3)), y), y_pred)
    np.testing.assert_array_equal(found, [[0.0, slope, -slope]])


@both
def test_sample_weights_are_one_an_example(part, error, mean, rng):
    y_true, y_pred = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    weights = np.array([1.0, 0.0, 2.0, 0.5])
    expected = (by_loop(y_true, y_pred, error) * weights).sum() / 4
    for given in (weights, weights[:, None], list(weights)):
        assert float(part()(y_true, y_pred, sample_weight=given)) == pytest.approx(
            expected, rel=1e-5
        )
    with pytest.raises(ValueError, match=r"`sample_weight` must be one number an example"):
        part()(y_true, y_pred, sample_weight=np.ones((4, 4)))


@both
def test_a_mask_an_element_is_refused(part, error, mean):
    inputs = keras.Input((4, 3))
    outputs = keras.layers.Masking()(inputs)
    with pytest.raises(ValueError, match=r"The mask of `y_pred` must be one number an example"):
        part()(np.zeros((2, 4, 3)), outputs)


@both
def test_half_precision_is_summed_in_float32(part, error, mean):
    loss = part()(np.zeros((1, 4), "float16"), np.full((1, 4), 300.0, "float16"))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == 4 * error(0.0, 300.0)


@both
def test_fit_and_evaluate(part, error, mean, rng):
    x, y = rng.normal(size=(10, 3)).astype("float32"), rng.normal(size=(10, 2)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", part())
    model.fit(x, y, batch_size=4, sample_weight=np.ones(10), verbose=0)
    expected = by_loop(y, model.predict(x, verbose=0), error).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-4)


@both
def test_config_round_trip(part, error, mean):
    loss = part(reduction="sum", name="error", dtype="float64")
    config = loss.get_config()
    assert config == {"reduction": "sum", "name": "error", "dtype": "float64"}
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is part
    assert copy.get_config() == config


@both
@pytest.mark.parametrize("shape", [(3,), (4,), (4, 2), (3, 4), (4, 1), (1, 3), (4, 3, 2)])
def test_shapes_that_differ_are_refused(part, error, mean, shape):
    with pytest.raises(
        ValueError, match=r"`y_true` must have the shape of `y_pred`, \(4, 3\), got"
    ):
        part()(np.zeros(shape), np.zeros((4, 3)))
