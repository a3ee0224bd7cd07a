"""Steps small enough to compute by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp

EACH = [SGD, AdaGrad, RMSProp, Adam]
PEERS = [
    (AdaGrad, keras.optimizers.Adagrad, -0.0999, -3.16e-5),
    (RMSProp, keras.optimizers.RMSprop, -0.315, -0.0315),
    (Adam, keras.optimizers.Adam, -0.0999, -0.0969),
]


def walk(optimizer, gradients, start=0.0, rates=None):
    """Weight after each step."""
    weight = keras.Variable([start], dtype="float32")
    path = []
    for step, gradient in enumerate(gradients):
        if rates is not None:
            optimizer.learning_rate = rates[step]
        optimizer.apply([ops.array([gradient], "float32")], [weight])
        path.append(float(weight.numpy()[0]))
    return path


@pytest.mark.parametrize(("part", "peer", "ours", "theirs"), PEERS)
def test_epsilon_stands_outside_the_root(part, peer, ours, theirs):
    assert walk(part(0.1), [1e-4])[0] == pytest.approx(ours, rel=2e-3)
    assert walk(peer(0.1), [1e-4])[0] == pytest.approx(theirs, rel=2e-3)


def test_momentum_holds_the_rate_under_the_sheets_convention():
    path = walk(SGD(1.0, momentum=0.5), [1.0, 1.0, 0.0], rates=[0.1, 0.01, 0.01])
    # v = 0.1; 0.05 + 0.01; 0.03
    np.testing.assert_allclose(path, [-0.1, -0.16, -0.19], rtol=1e-6)


def test_the_rate_stands_outside_under_torchs_convention():
    optimizer = SGD(1.0, momentum=0.5, convention="torch")
    path = walk(optimizer, [1.0, 1.0, 0.0], rates=[0.1, 0.01, 0.01])
    # v = 1; 1.5; 0.75
    np.testing.assert_allclose(path, [-0.1, -0.115, -0.1225], rtol=1e-6)


def test_the_conventions_agree_while_the_rate_stays():
    gradients = np.random.default_rng(0).normal(size=20)
    paths = [walk(SGD(0.1, momentum=0.9, convention=c), gradients) for c in ("sheet", "torch")]
    np.testing.assert_allclose(*paths, rtol=1e-5, atol=1e-7)


def test_weight_decay_is_coupled_in_sgd():
    path = walk(SGD(0.1, momentum=0.9, weight_decay=0.5), [0.1, 0.1], start=1.0)
    # g + 0.5 W = 0.6, v = 0.06; g + 0.5 W = 0.57, v = 0.054 + 0.057
    np.testing.assert_allclose(path, [0.94, 0.829], rtol=1e-6)
    peer = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.5)
    np.testing.assert_allclose(walk(peer, [0.1, 0.1], start=1.0), [0.94, 0.874], rtol=1e-6)


@pytest.mark.parametrize("part", [AdaGrad, RMSProp, Adam])
@pytest.mark.parametrize("convention", ["sheet", "torch"])
def test_weight_decay_is_a_gradient(part, convention):
    # The first steps of all three forget the gradient's size: the decay alone, 1e-3,
    # moves the weight as far as a gradient of 1e-3 does.
    with_decay = walk(part(0.1, weight_decay=1e-3, convention=convention), [0.0], start=1.0)
    with_gradient = walk(part(0.1, convention=convention), [1e-3], start=1.0)
    np.testing.assert_allclose(with_decay, with_gradient, rtol=1e-6)
    assert with_gradient[0] < 0.91


def test_clipping_comes_before_weight_decay():
    path = walk(SGD(0.1, weight_decay=0.5, clipvalue=0.2), [7.0], start=2.0)
    assert path[0] == pytest.approx(2 - 0.1 * (0.2 + 0.5 * 2))


def test_excluded_variables_do_not_decay():
    kernel, bias = (keras.Variable([1.0], name=name) for name in ("kernel", "bias"))
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([ops.zeros(1), ops.zeros(1)], [kernel, bias])
    assert float(kernel.numpy()[0]) == pytest.approx(0.95)
    assert float(bias.numpy()[0]) == 1.0


@pytest.mark.parametrize("part", EACH)
@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_an_index_read_twice_has_one_gradient(part, weight_decay):
    """TensorFlow gives the gradient of an embedding in pieces, one a lookup.

    `keras.optimizers.Adagrad` squares the pieces: it would move row 1 by 0.126, not 0.1.
    """
    tokens = np.array([[1, 1, 2]])

    def train(layer, inputs):
        model = keras.Sequential([layer, keras.layers.Flatten()])
        model.build(inputs.shape)
        layer.set_weights([np.array([[0.5], [0.25], [-0.5]])])
        # The loss of an output y is the sum of a y, so that gradients are a.
        model.compile(
            part(0.1, weight_decay=weight_decay),
            loss=lambda a, y: ops.sum(a * y),
            jit_compile=False,
        )
        for _ in range(3):
            model.train_on_batch(inputs, np.array([[1.0, 3.0, -2.0]]))
        return layer.get_weights()[0]

    embedding = train(keras.layers.Embedding(3, 1), tokens)
    dense = train(keras.layers.Dense(1, use_bias=False), np.eye(3)[tokens])
    np.testing.assert_allclose(embedding, dense, rtol=1e-6)


@pytest.mark.parametrize(
    ("start_at", "expected"), [(0, 1.0), (999, 0.1 * np.sqrt((1 - 0.999**1000) / 0.001))]
)
def test_adam_learns_in_bfloat16(start_at, expected):
    """`keras.optimizers.Adam` does not: 0.999 is 1 in bfloat16, and its rate 0."""
    weight = keras.Variable([0.0], dtype="bfloat16")
    optimizer = Adam(0.1)
    optimizer.build([weight])
    optimizer.iterations.assign(start_at)
    optimizer.apply([ops.ones(1, "bfloat16")], [weight])
    assert float(ops.convert_to_numpy(ops.cast(weight, "float32"))[0]) == pytest.approx(
        -0.1 * expected, rel=0.02
    )


def test_adam_corrects_exactly_in_float32():
    """With beta_2 so near 1, a float32 power would leave 3 digits of the correction."""
    path = walk(Adam(0.1, beta_2=0.99999, epsilon=1e-30), [1.0] * 5)
    np.testing.assert_allclose(path, -0.1 * np.arange(1, 6), rtol=2e-5)


@pytest.mark.parametrize("part", EACH)
def test_a_weight_without_gradient_stays(part):
    assert walk(part(0.1), [0.0, 0.0], start=0.75) == [0.75, 0.75]
