import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.gradients.local import Add, Max, Multiply, ReLU

GATES = {
    Add: (2, "distributor", lambda x, y: x + y),
    Multiply: (2, "switcher", lambda x, y: x * y),
    ReLU: (1, "router", lambda x: np.maximum(0, x)),
    Max: (2, "selector", lambda x, y: np.maximum(x, y)),
}
each = pytest.mark.parametrize("gate", GATES)


@pytest.fixture(autouse=True)
def _float64():
    with gradients.float64_scope():
        yield


def away_from_ties(rng, count, size=60):
    x = rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size)
    return (x, x + rng.uniform(0.1, 1, size) * rng.choice([-1, 1], size))[:count]


@each
def test_forward_and_backward_by_central_differences(gate, rng):
    count, role, formula = GATES[gate]
    inputs, upstream, h = away_from_ties(rng, count), rng.normal(size=60), 1e-5
    one = gate()
    np.testing.assert_array_equal(one.forward(*inputs), formula(*inputs))
    for k, found in enumerate(one.backward(ops.convert_to_tensor(upstream))):
        above, below = ([x + s * (j == k) for j, x in enumerate(inputs)] for s in (h, -h))
        numeric = upstream * (formula(*above) - formula(*below)) / (2 * h)
        np.testing.assert_allclose(found, numeric, rtol=0, atol=1e-9)
    assert one.role == role


@each
def test_backward_is_the_automatic_gradient(gate, rng):
    inputs = away_from_ties(rng, GATES[gate][0])
    one = gate()
    one.forward(*inputs)
    for found, automatic in zip(
        one.backward(1.0), gradients.gradient(gate().forward, *inputs), strict=True
    ):
        np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(automatic))


@each
def test_gradient_check(gate, rng):
    gradients.check(gate().forward, *away_from_ties(rng, GATES[gate][0], 5)).raise_if_failed()


def test_roles():
    """What the names say: (3, 5) in, 7 upstream."""

    def back(gate, *inputs):
        gate.forward(*inputs)
        return [float(x) for x in gate.backward(7.0)]

    assert back(Add(), 3.0, 5.0) == [7.0, 7.0]
    assert back(Multiply(), 3.0, 5.0) == [35.0, 21.0]
    assert back(Max(), 3.0, 5.0) == [0.0, 7.0]
    assert back(Max(), 5.0, 3.0) == [7.0, 0.0]
    assert back(ReLU(), 3.0) == [7.0]
    assert back(ReLU(), -3.0) == [0.0]


def test_ties_follow_the_sheet():
    relu, largest = ReLU(), Max()
    relu.forward(0.0)
    assert [float(x) for x in relu.derivatives()] == [0.0]  # I(x > 0)
    largest.forward(2.0, 2.0)
    assert [float(x) for x in largest.derivatives()] == [0.0, 1.0]  # I(x > y), and the rest


def test_ties_of_the_backend_are_as_the_docstrings_say():
    def slopes(function, *inputs):
        return [float(x) for x in gradients.gradient(function, *map(np.float64, inputs))]

    backend = keras.backend.backend()
    at_tie = {"tensorflow": [1.0, 0.0], "jax": [0.5, 0.5]}
    if backend not in at_tie:
        pytest.skip("not measured")
    assert slopes(ops.maximum, 2.0, 2.0) == at_tie[backend]
    assert slopes(lambda x: ops.maximum(x, 0.0), 0.0) == at_tie[backend][:1]
    assert slopes(ops.relu, 0.0) == [0.0]


def graph(w, x, y, z):
    """`max(w x + relu(y), y z) * (w + z)`, gate by gate, and back again.

    w, y and z go into two gates each, where their gradients add up.
    """
    product, rectified, total = Multiply(), ReLU(), Add()
    other, largest, both, result = Multiply(), Max(), Add(), Multiply()
    left = total.forward(product.forward(w, x), rectified.forward(y))
    top = largest.forward(left, other.forward(y, z))
    out = result.forward(top, both.forward(w, z))

    to_top, to_both = result.backward(1.0)
    to_left, to_other = largest.backward(to_top)
    to_product, to_rectified = total.backward(to_left)
    w1, x1 = product.backward(to_product)
    (y1,) = rectified.backward(to_rectified)
    y2, z1 = other.backward(to_other)
    w2, z2 = both.backward(to_both)
    return out, (w1 + w2, x1, y1 + y2, z1 + z2)


def test_a_graph_of_gates_is_the_automatic_gradient(rng):
    inputs = [rng.normal(size=500) for _ in range(4)]
    out, by_gates = graph(*inputs)
    w, x, y, z = inputs
    np.testing.assert_allclose(
        out, np.maximum(w * x + np.maximum(y, 0), y * z) * (w + z), rtol=1e-13
    )
    automatic = gradients.gradient(
        lambda w, x, y, z: ops.maximum(w * x + ops.relu(y), y * z) * (w + z), *inputs
    )
    for gate, auto in zip(by_gates, automatic, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(gate), ops.convert_to_numpy(auto), rtol=1e-12, atol=1e-14
        )


@each
def test_backward_needs_a_forward(gate):
    with pytest.raises(ValueError, match=f"{gate.__name__} must run forward before"):
        gate().backward(1.0)


@pytest.mark.parametrize("inputs", [(1.0,), (1.0, 2.0, 3.0), (np.ones(3), np.ones(2))])
def test_inputs_must_fit(inputs):
    with pytest.raises(ValueError, match="`inputs` of Max must be 2 of one shape, got shapes"):
        Max().forward(*inputs)
