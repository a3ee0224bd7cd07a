import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.losses import DistributionFocal
from kerakit.losses.distribution_focal import distribution_focal


def loss_by_loop(targets, logits):
    """Eq. 6 of the paper, a number at a time, in float64."""
    losses = np.empty(targets.shape)
    for place in np.ndindex(*targets.shape):
        scores = logits[place].astype("float64")
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        last = len(scores) - 1
        target = min(max(float(targets[place]), 0.0), last)
        left = min(int(np.floor(target)), last - 1)
        losses[place] = -(
            (left + 1 - target) * np.log(shares[left]) + (target - left) * np.log(shares[left + 1])
        )
    return losses


def test_equals_the_loop(rng):
    targets = rng.uniform(-1.5, 8.5, (5, 7, 4)).astype("float32")
    targets[0, 0] = [0, 3, 7, 9]  # whole numbers, the last, and beyond it
    logits = rng.normal(size=(5, 7, 4, 8)).astype("float32") * 3
    found = ops.convert_to_numpy(distribution_focal(targets, logits))
    np.testing.assert_allclose(found, loss_by_loop(targets, logits), rtol=1e-5, atol=1e-6)


def test_is_least_where_the_mean_is_the_target():
    target = np.array([2.25])
    best = np.log([[1e-9, 1e-9, 0.75, 0.25, 1e-9]])
    least = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(distribution_focal(target, best)[0]) == pytest.approx(least, abs=1e-6)
    (slope,) = gradients.gradient(lambda x: ops.sum(distribution_focal(target, x)), best)
    np.testing.assert_allclose(ops.convert_to_numpy(slope), 0.0, atol=1e-6)


def test_of_a_whole_number_is_keras_cross_entropy(rng):
    targets, logits = rng.integers(0, 6, 9), rng.normal(size=(9, 6)).astype("float32")
    expected = keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    found = distribution_focal(targets.astype("float32"), logits)
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-5, atol=1e-6
    )


def test_the_loss_averages_an_examples_numbers(rng):
    targets = rng.uniform(0, 5, (3, 4)).astype("float32")
    logits = rng.normal(size=(3, 4, 6)).astype("float32")
    found = DistributionFocal(reduction=None)(targets, logits)
    expected = loss_by_loop(targets, logits).mean(-1)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_half_precision_is_computed_in_float32(rng):
    logits = ops.cast(rng.normal(size=(3, 6)) * 30, "float16")
    found = distribution_focal(np.array([0.5, 2.5, 4.5], "float32"), logits)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = loss_by_loop(np.array([0.5, 2.5, 4.5]), ops.convert_to_numpy(logits))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_predictions_have_one_axis_more():
    with pytest.raises(
        ValueError, match=r"`y_pred` must be \(\.\.\., R \+ 1\) .*got shapes \(2, 4"
    ):
        DistributionFocal()(np.zeros((2, 4)), np.zeros((2, 4)))
