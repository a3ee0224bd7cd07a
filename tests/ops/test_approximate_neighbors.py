import numpy as np
import pytest
from keras import ops

from kerakit.ops import approximate_neighbors, nearest_neighbors
from kerakit.ops.approximate_neighbors import principal_directions


def rows_of_few_directions(rng, count):
    """3 directions hold nearly all of 20 dimensions' variance, away from the origin."""
    deviations = np.array([30.0, 20.0, 10.0] + [0.1] * 17)
    rotation, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    rows = (rng.normal(size=(count, 20)) * deviations) @ rotation.T + 100.0
    return rows.astype("float32"), rotation


def test_directions_are_those_of_the_singular_values(rng):
    rows, _ = rows_of_few_directions(rng, 200)
    directions = ops.convert_to_numpy(principal_directions(rows, 3))
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    _, _, expected = np.linalg.svd(rows.astype("float64") - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(directions * expected[:3].T, axis=0)), 1, atol=1e-4)


def test_all_directions_of_a_small_space(rng):
    directions = ops.convert_to_numpy(principal_directions(rng.normal(size=(30, 4)), 4))
    np.testing.assert_allclose(directions.T @ directions, np.eye(4), atol=1e-5)


def found(queries, stored, directions, metric="l2", **options):
    projected = ops.matmul(stored, directions)
    return approximate_neighbors(
        queries,
        stored,
        directions=directions,
        projected=projected,
        num_neighbors=5,
        metric=metric,
        **options,
    )


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_a_list_of_all_is_exact(metric, rng):
    stored, _ = rows_of_few_directions(rng, 100)
    queries, _ = rows_of_few_directions(rng, 10)
    got = found(queries, stored, principal_directions(stored, 1), metric, shortlist=100)
    expected = nearest_neighbors(queries, stored, num_neighbors=5, metric=metric)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


def recall(queries, stored, directions, **options):
    got, _ = found(queries, stored, directions, **options)
    expected, _ = nearest_neighbors(queries, stored, num_neighbors=5)
    pairs = zip(ops.convert_to_numpy(got), ops.convert_to_numpy(expected), strict=True)
    return np.mean([len(set(a) & set(b)) / 5 for a, b in pairs])


def test_recall_where_few_directions_matter_and_where_the_wrong_ones_are_searched(rng):
    rows, rotation = rows_of_few_directions(rng, 640)
    queries, stored = rows[:40], rows[40:]
    options = {"shortlist": 16, "query_chunk": 16, "store_chunk": 128}
    assert recall(queries, stored, principal_directions(stored, 3), **options) > 0.98
    wrong = rotation[:, 3:6].astype("float32")
    assert recall(queries, stored, wrong, **options) < 0.3


def test_a_list_shorter_than_the_neighbours():
    with pytest.raises(ValueError, match=r"`num_neighbors` must be in \[1, 3\], got 5"):
        found(np.zeros((1, 4), "float32"), np.zeros((9, 4), "float32"), np.eye(4), shortlist=3)
