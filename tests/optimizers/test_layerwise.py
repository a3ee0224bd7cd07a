import keras
import numpy as np
import pytest

from kerakit.optimizers import LayerwiseAdamW

PATHS = ("first", "middle", "last")


def run(optimizer, gradients):
    """Values of three variables after each step."""
    variables = [keras.Variable([1.0, -2.0], name=path) for path in PATHS]
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for _ in PATHS], variables)
        values.append([keras.ops.convert_to_numpy(v) for v in variables])
    return np.array(values)


@pytest.fixture
def gradients(rng):
    return rng.normal(size=(5, 2)).astype("float32")


def test_each_variable_moves_as_adamw_at_its_own_rate(gradients):
    options = {"weight_decay": 0.1, "beta_1": 0.8}
    values = run(LayerwiseAdamW(0.1, shares={"first": 0.01, "middle": 0.5}, **options), gradients)
    for position, share in enumerate((0.01, 0.5, 1.0)):
        expected = run(keras.optimizers.AdamW(0.1 * share, **options), gradients)
        np.testing.assert_allclose(values[:, position], expected[:, position], rtol=1e-6)


def test_a_variable_joins_at_its_step_with_warm_moments(gradients):
    values = run(LayerwiseAdamW(0.1, starts={"first": 2}, weight_decay=0.0), gradients)
    expected = run(keras.optimizers.AdamW(0.1, weight_decay=0.0), gradients)
    np.testing.assert_array_equal(values[:2, 0], [[1.0, -2.0]] * 2)
    steps = np.diff(values[1:, 0], axis=0)
    np.testing.assert_allclose(steps, np.diff(expected[1:, 0], axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values[:, 2], expected[:, 2], rtol=1e-6)


def test_in_fit_on_a_schedule():
    """Where TensorFlow hands its own variables, and the rate is a tensor."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="b")(x))
    before = model.get_weights()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    shares = {"a/kernel": 0.5, "a/bias": 0.0}
    model.compile(LayerwiseAdamW(schedule, weight_decay=0.0, shares=shares), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    largest = [
        np.abs(new - old).max() for new, old in zip(model.get_weights(), before, strict=True)
    ]
    # The first step of Adam is the rate, whatever the gradient.
    np.testing.assert_allclose(largest, [0.05, 0.0, 0.1, 0.1], rtol=1e-4)


@pytest.mark.parametrize("argument", ["shares", "starts"])
def test_negative_numbers_are_refused(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be at least 0, got -1 for 'first'"):
        LayerwiseAdamW(**{argument: {"first": -1}})
