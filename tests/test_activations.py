import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

from kerakit import gradients
from kerakit.activations import TABLE, advice, leaky_relu_001, prelu

ELEMENTWISE = [name for name in TABLE if name != "softmax"]

# The formulas as the sheet writes them, in float64.
FORMULAS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": lambda x: np.maximum(0, x),
    "leaky_relu": lambda x: np.maximum(0.01 * x, x),
    "prelu": lambda x: np.maximum(0.25 * x, x),
    "elu": lambda x: np.where(x > 0, x, 1.0 * (np.exp(x) - 1)),
    "gelu": lambda x: x * special.ndtr(x),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}

# TensorFlow computes these two with a constant in float32, sqrt(2) and the slope, also where the
# tensor is float64.
IN_FLOAT32 = ("gelu", "leaky_relu") if keras.backend.backend() == "tensorflow" else ()


def tolerance(name):
    return 2e-8 if name in IN_FLOAT32 else 1e-13


@pytest.fixture(autouse=True)
def _float64():
    with gradients.float64_scope():
        yield


def function(name, x):
    return ops.convert_to_numpy(TABLE[name].function(ops.convert_to_tensor(x, "float64")))


def derivative(name, x):
    return ops.convert_to_numpy(TABLE[name].derivative(ops.convert_to_tensor(x, "float64")))


def away_from_kinks(rng, shape):
    return rng.uniform(0.1, 4.0, shape) * rng.choice([-1.0, 1.0], shape)


def test_the_table_is_the_sheets():
    assert list(TABLE) == list(FORMULAS)


@pytest.mark.parametrize("name", TABLE)
def test_function_is_the_sheets_formula(name, rng):
    x = rng.normal(size=(50, 7)) * 3
    np.testing.assert_allclose(function(name, x), FORMULAS[name](x), rtol=0, atol=tolerance(name))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_the_central_difference(name, rng):
    x, h = away_from_kinks(rng, 200), 1e-5
    numeric = (FORMULAS[name](x + h) - FORMULAS[name](x - h)) / (2 * h)
    np.testing.assert_allclose(derivative(name, x), numeric, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_the_automatic_gradient(name, rng):
    x = np.concatenate([away_from_kinks(rng, 200), [-30.0, -20.0, 20.0, 30.0]])
    (automatic,) = gradients.gradient(TABLE[name].function, x)
    np.testing.assert_allclose(
        derivative(name, x), ops.convert_to_numpy(automatic), rtol=0, atol=tolerance(name)
    )


def test_softmax_derivative_is_the_jacobian(rng):
    z, h = rng.normal(size=(3, 5)), 1e-5
    jacobian = derivative("softmax", z)
    for j in range(5):
        move = h * np.eye(5)[j]
        numeric = (FORMULAS["softmax"](z + move) - FORMULAS["softmax"](z - move)) / (2 * h)
        np.testing.assert_allclose(jacobian[:, :, j], numeric, rtol=0, atol=1e-10)
    # Outputs add up to 1, whatever the scores.
    np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 0.0), ("leaky_relu", 0.01), ("prelu", 0.25), ("elu", 1.0), ("gelu", 0.5)],
)
def test_derivative_at_zero_is_the_left_one(name, expected):
    assert derivative(name, np.zeros(1)) == expected


@pytest.mark.parametrize(("name", "at_20"), [("sigmoid", 2.0611536e-9), ("tanh", 1.69934e-17)])
def test_derivatives_do_not_cancel_in_float32(name, at_20):
    slope = TABLE[name].derivative(ops.convert_to_tensor([-20.0, 20.0], "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(slope), at_20, rtol=1e-5)


@pytest.mark.parametrize("name", TABLE)
def test_derivatives_keep_the_dtype_and_do_not_overflow(name):
    x = ops.convert_to_tensor([[-200.0, 0.0, 200.0]], "float16")
    slope = TABLE[name].derivative(x)
    assert keras.backend.standardize_dtype(slope.dtype) == "float16"
    assert np.isfinite(ops.convert_to_numpy(slope)).all()


@pytest.mark.parametrize("name", TABLE)
def test_range_holds_and_is_tight(name):
    low, high = TABLE[name].range
    x = np.concatenate([np.linspace(-30, 30, 600_001), [-1e6, 1e6]])
    y = function(name, np.stack([x, np.zeros_like(x)], -1)) if name == "softmax" else None
    y = function(name, x) if y is None else y
    assert low - tolerance(name) <= y.min()
    assert y.max() <= high
    for end, reached in ((low, y.min()), (high, y.max())):
        if math.isinf(end):
            assert abs(reached) > 9999  # leaky_relu: 0.01 of -1e6
        else:
            assert abs(reached - end) < max(1e-10, tolerance(name))


def own_slope(name, x):
    if name == "softmax":
        return derivative(name, np.array([x, 0.0]))[0, 0]
    return derivative(name, np.array([x]))[0]


@pytest.mark.parametrize("name", TABLE)
def test_slopes_far_from_zero_and_saturation(name):
    below, above = own_slope(name, -20.0), own_slope(name, 20.0)
    np.testing.assert_allclose([below, above], TABLE[name].slopes, rtol=0, atol=1e-8)
    assert TABLE[name].saturates == (max(abs(below), abs(above)) < 1e-8)


def test_what_saturates_and_what_is_centred():
    assert {name for name in TABLE if TABLE[name].saturates} == {"sigmoid", "tanh", "softmax"}
    assert {name for name in TABLE if TABLE[name].zero_centred} == {"tanh"}


@pytest.mark.parametrize("name", TABLE)
def test_zero_centred_is_a_mean_of_zero_over_even_inputs(name, rng):
    x = rng.normal(size=(5000, 2))
    x = np.concatenate([x, -x])
    y = function(name, x)
    assert (abs(y.mean()) < 1e-12) == TABLE[name].zero_centred


class Counted:
    """A number that counts the operations it goes through, on the formulas of `notes`."""

    operations = 0

    def __init__(self, value):
        self.value = value

    def counted(self, value):
        Counted.operations += 1
        return Counted(value)

    def __add__(self, other):
        return self.counted(self.value + getattr(other, "value", other))

    def __sub__(self, other):
        return self.counted(self.value - getattr(other, "value", other))

    def __mul__(self, other):
        return self.counted(self.value * getattr(other, "value", other))

    def __truediv__(self, other):
        return self.counted(self.value / getattr(other, "value", other))

    def __neg__(self):
        return self.counted(-self.value)

    __radd__, __rmul__ = __add__, __mul__

    def __rtruediv__(self, other):
        return self.counted(other / self.value)

    def exp(self):
        return self.counted(math.exp(self.value))

    def erf(self):
        return self.counted(math.erf(self.value))

    def or_larger(self, other):
        return self.counted(max(self.value, getattr(other, "value", other)))

    def if_positive(self, other):
        return self.counted(self.value if self.value > 0 else other.value)


COUNTED = {
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "relu": lambda x: x.or_larger(0.0),
    "leaky_relu": lambda x: (0.01 * x).or_larger(x),
    "prelu": lambda x: (0.25 * x).or_larger(x),
    "elu": lambda x: x.if_positive(1.0 * (x.exp() - 1)),
    "gelu": lambda x: x * (0.5 * (1 + (x / math.sqrt(2)).erf())),
}


def counted_tanh(x):
    up, down = x.exp(), (-x).exp()
    # Each of the two exponentials is needed twice and computed once.
    return (up - down) / (up + down)


COUNTED["tanh"] = counted_tanh


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("x", [-1.3, 0.7])
def test_flops_are_the_operations_of_the_formula(name, x):
    Counted.operations = 0
    y = COUNTED[name](Counted(x))
    assert y.value == pytest.approx(function(name, np.array([x]))[0], abs=tolerance(name))
    assert TABLE[name].flops_per_element == Counted.operations


def test_flops_of_softmax_are_three_an_element():
    scores = [Counted(x) for x in (0.3, -1.0, 2.0, 0.0)]
    Counted.operations = 0
    exponentials = [z.exp() for z in scores]
    total = Counted(0.0)
    for e in exponentials:
        total = total + e
    outputs = [(e / total).value for e in exponentials]
    np.testing.assert_allclose(outputs, function("softmax", np.array([0.3, -1.0, 2.0, 0.0])))
    assert Counted.operations == TABLE["softmax"].flops_per_element * len(scores)


def test_prelu_is_keras_layer_and_learns_from_the_negative_part(rng):
    x = rng.normal(size=(6, 4))
    layer = keras.layers.PReLU(dtype="float64")
    layer.build((None, 4))
    layer.alpha.assign(rng.uniform(0, 1, 4))
    alpha = ops.convert_to_tensor(layer.alpha)
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (prelu(x, alpha), layer(x))), rtol=1e-14)
    _, by_alpha = gradients.gradient(prelu, x, alpha)
    np.testing.assert_allclose(by_alpha, np.minimum(0, x).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("given", [leaky_relu_001, prelu])
def test_own_functions_survive_saving(given, tmp_path):
    x = np.array([[-2.0, 3.0]], "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Activation(given)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    np.testing.assert_allclose(model(x), ops.convert_to_numpy(given(x)))


def test_advice_names_what_to_use_and_what_not():
    text = advice()
    hidden, _ = text.split("\n")
    assert hidden.startswith("Hidden layers: start with relu.")
    assert "Not sigmoid" in hidden
    assert all(name in text for name in TABLE)
    for name in ("sigmoid", "softmax"):
        assert advice(name).startswith(f"{name} in hidden layers: No")
    for name in ("relu", "leaky_relu", "prelu", "gelu"):
        assert advice(name).startswith(f"{name} in hidden layers: Yes")


def test_advice_on_the_unknown():
    with pytest.raises(ValueError, match="`name` must be one of sigmoid, .*, got 'swish'"):
        advice("swish")
