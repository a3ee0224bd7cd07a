import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.losses import QualityFocal
from kerakit.losses.quality_focal import quality_focal


def loss_by_loop(targets, logits, gamma):
    """Eq. 5 of the paper, a number at a time, in float64."""
    losses = np.empty(targets.shape)
    for place in np.ndindex(*targets.shape):
        score, y = 1 / (1 + np.exp(-float(logits[place]))), float(targets[place])
        entropy = (1 - y) * np.log(1 - score) + y * np.log(score)
        losses[place] = -(abs(y - score) ** gamma) * entropy
    return losses


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_equals_the_loop(gamma, rng):
    targets = rng.uniform(0, 1, (5, 7)).astype("float32")
    targets[0] = [0, 1, 0, 1, 0, 1, 0]
    logits = rng.normal(size=(5, 7)).astype("float32") * 4
    found = QualityFocal(gamma, reduction=None)(targets, logits)
    expected = loss_by_loop(targets, logits, gamma).mean(-1)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-4)


def test_of_whole_targets_is_keras_focal_loss(rng):
    targets = rng.integers(0, 2, (6, 5)).astype("float32")
    logits = rng.normal(size=(6, 5)).astype("float32")
    keras_loss = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True)
    assert float(QualityFocal()(targets, logits)) == pytest.approx(
        float(keras_loss(targets, logits)), rel=1e-4
    )


def test_pulls_no_more_at_a_soft_target_where_keras_does():
    """The docstring says so; when Keras changes, the class may go."""
    target, logit = np.array([[0.7]]), np.log(np.array([[0.7 / 0.3]]))
    (slope,) = gradients.gradient(lambda x: ops.sum(quality_focal(target, x)), logit)
    assert abs(float(slope[0, 0])) < 1e-6
    keras_loss = keras.losses.BinaryFocalCrossentropy(from_logits=True)
    (slope,) = gradients.gradient(lambda x: keras_loss(target, x), logit)
    assert abs(float(slope[0, 0])) > 0.01


def test_large_logits_stay_finite():
    logits = np.array([[-1e4, 1e4, -1e4, 1e4]], "float32")
    targets = np.array([[0.0, 1.0, 1.0, 0.3]], "float32")
    found = ops.convert_to_numpy(quality_focal(targets, logits))
    np.testing.assert_allclose(found, [[0, 0, 1e4, 0.7**3 * 1e4]], rtol=1e-5)


def test_gamma_must_not_be_negative():
    with pytest.raises(ValueError, match="`gamma` must be at least 0, got -1"):
        QualityFocal(-1)
