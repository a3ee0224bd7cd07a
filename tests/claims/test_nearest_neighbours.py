"""What the sheet says of nearest neighbours."""

import keras
import numpy as np
import pytest

from kerakit.models.classification import knn_classifier
from kerakit.ops import nearest_neighbors


def rotation(rng, size):
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return basis


@pytest.mark.parametrize(("metric", "low", "high"), [("l2", 0.0, 1e-5), ("l1", 0.02, 0.5)])
def test_l2_does_not_change_under_rotation_and_l1_does(metric, low, high, rng):
    """L2 distances by less than 1e-5 of their mean, L1 distances by more than 0.02."""
    points, turned = rng.normal(size=(200, 16)), rotation(rng, 16)

    def distances(points):
        stored, query = points[1:], points[:1]
        indices, lengths = nearest_neighbors(query, stored, num_neighbors=199, metric=metric)
        by_index = np.empty(199)
        by_index[keras.ops.convert_to_numpy(indices[0])] = lengths[0]
        return by_index

    before = distances(points)
    change = np.abs(distances(points @ turned) - before).mean() / before.mean()
    assert low <= change < high


def two_clouds(rng, count, wrong):
    """Classes left and right of 0 that overlap little, a share of the labels wrong."""
    labels = rng.integers(0, 2, count)
    points = rng.normal(size=(count, 2)) + np.where(labels, 2.0, -2.0)[:, None] * [1, 0]
    noisy = np.where(rng.uniform(size=count) < wrong, 1 - labels, labels)
    return points.astype("float32"), labels, noisy


@pytest.mark.slow
def test_more_neighbours_are_more_robust_and_smoother(rng):
    """With every fifth label wrong: K = 1 repeats the errors, K = 15 outvotes them."""
    points, _, noisy = two_clouds(rng, 600, 0.2)
    fresh, labels, _ = two_clouds(rng, 600, 0.0)
    line = np.stack([np.linspace(-5, 5, 1000), np.zeros(1000)], axis=1).astype("float32")
    accuracy, changes = {}, {}
    for num_neighbors in (1, 15):
        model = knn_classifier(input_shape=(2,), num_classes=2, num_neighbors=num_neighbors)
        model.adapt(points, noisy)
        accuracy[num_neighbors] = (model.predict(fresh, verbose=0).argmax(1) == labels).mean()
        along = model.predict(line, batch_size=1000, verbose=0).argmax(1)
        changes[num_neighbors] = np.count_nonzero(np.diff(along))
    assert accuracy[1] < 0.85
    assert accuracy[15] > 0.95
    assert changes[15] < changes[1] / 3


def test_training_stores_and_does_nothing_else(rng):
    """No weight is trained, and what is kept is the data."""
    images, labels = rng.integers(0, 256, (50, 4, 4, 1)), rng.integers(0, 10, 50)
    model = knn_classifier(input_shape=(4, 4, 1)).adapt(images, labels)
    assert not model.trainable_weights
    vote = model.get_layer("vote")
    np.testing.assert_array_equal(vote.stored, images.reshape(50, 16))
    np.testing.assert_array_equal(vote.labels, labels)


def test_curse_of_dimensionality(rng):
    """The farthest of 500 points is over 20 times as far as the nearest in 2 dimensions, and less
    than 1.35 times in 1,000."""
    ratios = []
    for dimensions in (2, 10, 100, 1000):
        points = rng.uniform(size=(501, dimensions))
        _, distances = nearest_neighbors(points[:1], points[1:], num_neighbors=500)
        ratios.append(float(distances[0, -1] / distances[0, 0]))
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 20
    assert 1 < ratios[-1] < 1.35
