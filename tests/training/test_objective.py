import numpy as np
import pytest

from kerakit.training import objective


def test_one_label_is_cross_entropy_over_the_classes(rng):
    logits, labels = rng.normal(size=(5, 3)), np.eye(3)[[0, 2, 1, 1, 0]]
    aim = objective("classification", 3, label_smoothing=0.1)
    smooth = 0.9 * labels + 0.1 / 3
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(smooth * log_shares).sum(axis=1).mean()
    assert float(aim.loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    assert aim.monitor == "val_accuracy"


def test_several_labels_are_each_a_decision(rng):
    logits, labels = rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 3))
    aim = objective("multi_label", 3, label_smoothing=0.1)
    smooth, p = 0.9 * labels + 0.05, 1 / (1 + np.exp(-logits))
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean()
    assert float(aim.loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    assert aim.monitor == f"val_{aim.metrics[0].name}"


def test_another_task():
    with pytest.raises(ValueError, match="`task` must be 'classification' or 'multi_label', got"):
        objective("detection", 3)
