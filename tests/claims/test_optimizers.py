"""What the sheet says of the optimizers beyond their formulas, on small cases."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp


def descend(optimizer, slope, start, *, steps):
    """Weights (steps + 1, n) on the way down; `slope` is the gradient at a weight."""
    weight = keras.Variable(np.array(start), dtype="float32")
    path = [ops.convert_to_numpy(weight)]
    for _ in range(steps):
        gradient = ops.convert_to_tensor(slope(path[-1]), "float32")
        optimizer.apply([gradient], [weight])
        path.append(ops.convert_to_numpy(weight))
    return np.stack(path)


def lengths(path):
    return np.linalg.norm(np.diff(path, axis=0), axis=1)


CURVATURES = np.array([1.0, 100.0])  # a long valley


def valley(weight):
    return CURVATURES * weight


def test_sgd_follows_a_noisy_gradient(rng):
    """A batch's gradient is right on average, off by 1 / sqrt(batch size) each time."""
    x, noise = rng.normal(size=4096), rng.normal(size=4096)
    each = -2 * x * (3 * x + noise)  # of (w x - y)^2 at w = 0 for y = 3 x + noise
    spread = {}
    for size in (4, 64):
        gradients = each.reshape(-1, size).mean(axis=1)
        steps = []
        for gradient in gradients:
            path = descend(SGD(0.1), lambda w, g=gradient: [g], [0.0], steps=1)
            steps.append(path[1, 0])
            if len(steps) == 64:
                break
        np.testing.assert_allclose(steps, -0.1 * gradients[:64], rtol=1e-5)
        assert np.mean(steps) == pytest.approx(-0.1 * each.mean(), rel=0.3)
        spread[size] = np.std(steps)
    assert spread[4] / spread[64] == pytest.approx(4, rel=0.3)


def test_momentum_is_faster_than_sgd_in_a_valley():
    # Both at the rates that are best for curvatures 1 and 100 (Polyak 1964).
    plain = descend(SGD(2 / 101), valley, [1.0, 1.0], steps=80)
    heavy = SGD((2 / 11) ** 2, momentum=(9 / 11) ** 2)
    moved = descend(heavy, valley, [1.0, 1.0], steps=80)
    assert np.linalg.norm(plain[-1]) > 0.1  # slow: the factor of a step is 99 / 101
    assert np.linalg.norm(moved[-1]) < 1e-3 * np.linalg.norm(plain[-1])


def test_momentum_dampens_oscillations():
    """Slopes that change sign from step to step cancel, those that stay add up."""
    signs = iter((-1.0) ** t for t in range(1000))
    path = descend(SGD(0.1, momentum=0.9), lambda w: [next(signs), 1.0], [0.0, 0.0], steps=200)
    across, along = np.abs(np.diff(path, axis=0))[-1]
    assert across == pytest.approx(0.1 / 1.9, rel=1e-3)  # plain SGD: 0.1
    assert along == pytest.approx(0.1 / 0.1, rel=1e-3)


def test_adagrad_leaves_slow_directions_and_saddle_points():
    """At a saddle, x^2 - y^2, the way out starts as small as y is."""

    def saddle(weight):
        return np.array([2.0, -2.0]) * weight

    start = [1.0, 1e-6]
    assert abs(descend(SGD(0.1), saddle, start, steps=20)[-1, 1]) < 1e-4
    assert abs(descend(AdaGrad(0.1, epsilon=1e-10), saddle, start, steps=20)[-1, 1]) > 0.5


@pytest.mark.parametrize("part", [AdaGrad, RMSProp, Adam])
def test_each_weight_has_a_rate_of_its_own(part):
    """A weight whose gradients are all 1,000 times another's takes the same steps."""
    gradients = iter(np.random.default_rng(1).normal(size=30))
    scale = np.array([1.0, 1000.0])
    path = descend(part(0.1, epsilon=1e-10), lambda w: scale * next(gradients), [0, 0], steps=30)
    np.testing.assert_allclose(path[:, 0], path[:, 1], rtol=1e-4, atol=1e-5)


def test_adagrad_comes_to_a_stop_and_rmsprop_does_not():
    """Under a slope that stays: steps of lr / sqrt(t), and of lr."""
    adagrad = lengths(descend(AdaGrad(0.1), lambda w: [3.0], [0.0], steps=400))
    rmsprop = lengths(descend(RMSProp(0.1), lambda w: [3.0], [0.0], steps=400))
    np.testing.assert_allclose(adagrad, 0.1 / np.sqrt(np.arange(1, 401)), rtol=5e-3)
    assert rmsprop[-1] == pytest.approx(0.1, rel=1e-3)


def test_adam_is_momentum_and_rmsprop_in_one():
    """Its average of gradients alone (beta_2 = 0) or of squares alone (beta_1 = 0)."""
    gradients = np.random.default_rng(2).normal(size=40)
    t = np.arange(1, 41)

    def average(values, beta):
        return np.array([sum((1 - beta) * beta ** (n - i) * values[i] for i in range(n + 1))
                         for n in range(40)]) / (1 - beta**t)  # fmt: skip

    for beta_1, beta_2 in ((0.9, 0.0), (0.0, 0.99), (0.9, 0.99)):
        given = iter(gradients)
        adam = Adam(0.1, beta_1=beta_1, beta_2=beta_2, epsilon=1e-10)
        steps = -np.diff(descend(adam, lambda w, given=given: [next(given)], [0.0], steps=40)[:, 0])
        expected = 0.1 * average(gradients, beta_1) / np.sqrt(average(gradients**2, beta_2))
        np.testing.assert_allclose(steps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gradient", [1e-3, 1.0, 50.0])
def test_adams_correction_makes_the_first_step_whole(gradient):
    """Uncorrected it would be (1 - 0.9) / sqrt(1 - 0.999) = 3.2 times the rate."""
    path = descend(Adam(0.1, epsilon=1e-10), lambda w: [gradient], [0.0], steps=1)
    assert path[1, 0] == pytest.approx(-0.1, rel=1e-5)
