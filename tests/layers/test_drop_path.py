import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import DropPath
from tests.conformance.case import assert_close


@pytest.mark.parametrize("shape", [(4000,), (4000, 3), (4000, 2, 3), (4000, 1, 2, 3)])
def test_an_example_as_a_whole(shape, rng):
    x = rng.uniform(1, 2, shape).astype("float32")
    y = ops.convert_to_numpy(DropPath(0.3, seed=1)(x, training=True))
    factors = (y / x).reshape(4000, -1)
    assert_close(factors, factors[:, :1] * np.ones_like(factors), rtol=1e-6)
    kept = factors[:, 0] > 0
    assert_close(factors[kept, 0], 1 / 0.7, rtol=1e-6)
    # 4000 draws: deviation 0.0072.
    assert kept.mean() == pytest.approx(0.7, abs=0.03)


def test_identity_at_test_time_and_at_rate_0(rng):
    x = rng.normal(size=(5, 2, 3)).astype("float32")
    assert_close(DropPath(0.9)(x), x, rtol=0, atol=0)
    assert_close(DropPath(0.9)(x, training=False), x, rtol=0, atol=0)
    assert_close(DropPath(0.0)(x, training=True), x, rtol=0, atol=0)


def test_a_seed_repeats_and_calls_differ():
    x = np.ones((64, 1), "float32")
    first, again = DropPath(0.5, seed=3), DropPath(0.5, seed=3)
    drawn = ops.convert_to_numpy(first(x, training=True))
    assert_close(drawn, again(x, training=True), rtol=0, atol=0)
    assert np.any(drawn != ops.convert_to_numpy(first(x, training=True)))


def test_keras_dropout_with_a_noise_shape_must_know_the_rank():
    dropout = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1), seed=1)
    y = ops.convert_to_numpy(dropout(np.ones((50, 2, 3)), training=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert np.ptp(y, axis=(1, 2)).max() == 0
    with pytest.raises(Exception):  # noqa: B017, PT011  another of each backend
        dropout(np.ones((50, 2, 2, 3)), training=True)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_errors(rate):
    with pytest.raises(ValueError, match=rf"`rate` must be in \[0, 1\), got {rate}."):
        DropPath(rate)
