import keras
import numpy as np
import pytest

from kerakit.metrics import MultiLabelAveragePrecision
from kerakit.metrics.multi_label_figures import average_precision


def drawn(rng, *, shift=0.0):
    """Labels (1000, 3) and logits float32, the higher where there is a label."""
    labels = (rng.random((1000, 3)) < 0.3).astype("float32")
    return labels, (rng.normal(size=(1000, 3)) + 2 * labels + shift).astype("float32")


def result(labels, logits, weights=None, **options):
    metric = MultiLabelAveragePrecision(labels.shape[1], **options)
    for part in np.split(np.arange(len(labels)), 4):
        metric.update_state(labels[part], logits[part], None if weights is None else weights[part])
    return float(metric.result())


@pytest.mark.parametrize(("bins", "limit"), [(64, 4.0), (1024, 16.0)])
def test_is_exact_for_logits_rounded_to_bins(bins, limit, rng):
    labels, logits = drawn(rng)
    width = 2 * limit / bins  # a power of 2, so that float32 rounds as float64
    rounded = np.clip(np.floor(logits / width), -bins // 2, bins // 2 - 1)
    found = result(labels, logits, bins=bins, limit=limit)
    assert found == pytest.approx(average_precision(labels, rounded).mean(), abs=2e-6)


@pytest.mark.parametrize("shift", [-8.0, -4.0, 0.0, 4.0])
def test_is_near_the_exact_wherever_the_logits_lie(shift, rng):
    labels, logits = drawn(rng, shift=shift)
    exact = average_precision(labels, logits).mean()
    assert result(labels, logits) == pytest.approx(exact, abs=0.005)


def test_keras_curve_is_not_where_classes_are_rare(rng):
    """For which this part is here."""
    labels, logits = drawn(rng, shift=-8.0)
    curve = keras.metrics.AUC(curve="PR", multi_label=True, num_labels=3, from_logits=True)
    curve.update_state(labels, logits)
    assert float(curve.result()) < average_precision(labels, logits).mean() - 0.2


def test_a_weight_counts_as_copies(rng):
    labels, logits = drawn(rng)
    weights = rng.integers(0, 3, 1000)
    copies = np.repeat(np.arange(1000), weights)
    copies = copies[: len(copies) // 4 * 4]
    weights = np.bincount(copies, minlength=1000).astype("float32")
    expected = result(labels[copies], logits[copies])
    assert result(labels, logits, weights) == pytest.approx(expected, abs=1e-6)


def test_a_label_in_part_is_part_of_an_example():
    """A quarter of a positive in the upper bin, a whole one in the lower: by hand."""
    metric = MultiLabelAveragePrecision(1)
    metric.update_state(np.array([[0.25], [1.0]]), np.array([[1.0], [-1.0]]))
    assert float(metric.result()) == pytest.approx((0.25 * 0.25 + 1.25 / 2) / 1.25)


def test_states_add_up(rng):
    labels, logits = drawn(rng)
    metrics = [MultiLabelAveragePrecision(3) for _ in range(2)]
    for metric, part in zip(metrics, (slice(0, 300), slice(300, None)), strict=True):
        metric.update_state(labels[part], logits[part])
    metrics[0].merge_state(metrics[1:])
    assert float(metrics[0].result()) == pytest.approx(result(labels, logits), abs=1e-6)


def test_classes_without_examples_are_left_out(rng):
    labels, logits = drawn(rng)
    expected = result(labels[:, :2], logits[:, :2])
    labels[:, 2] = 0
    assert result(labels, logits) == pytest.approx(expected, abs=1e-6)
    assert result(0 * labels, logits) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be at least 1, got 0"),
        ({"num_classes": 2, "bins": 1}, "`bins` must be at least 2, got 1"),
        ({"num_classes": 2, "limit": 0}, "`limit` must be above 0, got 0"),
    ],
)
def test_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelAveragePrecision(**options)


def test_shapes():
    metric = MultiLabelAveragePrecision(3)
    with pytest.raises(ValueError, match=r"`y_true` must have the shape \(B, 3\), got \(4,\)"):
        metric.update_state(np.zeros(4), np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"`y_pred` must have the shape \(B, 3\), got \(4, 2\)"):
        metric.update_state(np.zeros((4, 3)), np.zeros((4, 2)))
