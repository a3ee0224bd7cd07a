import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from kerakit.metrics.multi_label_figures import average_precision, multi_label_figures


@pytest.fixture
def answers(rng):
    """Labels, scores of few different values (with ties), and what is named."""
    labels = rng.random((60, 7)) < [0.5, 0.02, 0.9, 0.3, 0.1, 0.4, 1.0]
    labels[3, 1] = True
    scores = np.round(rng.normal(size=(60, 7)) + labels, 1)
    return labels, scores, scores > 0.5


def test_average_precision_is_scikit_learns(answers):
    labels, scores, _ = answers
    expected = sklearn_metrics.average_precision_score(labels, scores, average=None)
    np.testing.assert_allclose(average_precision(labels, scores), expected, rtol=1e-12)


def test_equal_scores_are_worth_the_share_of_positives():
    labels = np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    for order in (slice(None), slice(None, None, -1)):
        found = average_precision(labels[order], np.zeros((4, 2)))
        np.testing.assert_allclose(found, [0.5, 0.25])


def test_figures_are_scikit_learns(answers):
    labels, scores, named = answers
    figures, by_class = multi_label_figures(labels, scores, named)
    expected = {
        "mean_average_precision": sklearn_metrics.average_precision_score(labels, scores),
        "exact_match": sklearn_metrics.accuracy_score(labels, named),
        "f1_micro": sklearn_metrics.f1_score(labels, named, average="micro"),
    }
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn_metrics, f"{name}_score")
        expected[f"{name}_macro"] = score(labels, named, average="macro", zero_division=0)
        of_each = score(labels, named, average=None, zero_division=0)
        np.testing.assert_allclose(by_class[name], of_each, rtol=1e-12)
    assert figures == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(by_class["images"], labels.sum(axis=0))


def test_a_class_without_examples_is_left_out_of_the_mean():
    labels = np.array([[1, 0], [0, 0], [1, 0]])
    scores = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]])
    figures, by_class = multi_label_figures(labels, scores, scores > 2.5)
    assert np.isnan(by_class["average_precision"][1])
    assert figures["mean_average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["recall_macro"] == pytest.approx(0.25)  # 1/2 and 0
