import numpy as np
import pytest
from keras import ops

from kerakit.ops import l1_distances, nearest_neighbors
from kerakit.ops.chunks import in_chunks
from kerakit.ops.nearest_neighbors import nearest_of, smallest
from tests.conformance.case import compiled

CHUNKED = {"query_chunk": 7, "store_chunk": 60}


def by_lexsort(queries, stored, num_neighbors, metric):
    """In float64, where all that the tests sum is exact or right to 16 digits."""
    queries, stored = queries.astype("float64"), stored.astype("float64")
    found, lengths = [], []
    for query in queries:
        terms = np.abs(stored - query)
        distances = terms.sum(axis=1) if metric == "l1" else np.sqrt((terms**2).sum(axis=1))
        order = np.lexsort((np.arange(len(stored)), distances))[:num_neighbors]
        found.append(order)
        lengths.append(distances[order])
    return np.array(found), np.array(lengths)


def pixels(rng, count, features):
    return rng.integers(0, 256, (count, features)).astype("float32")


def check(queries, stored, num_neighbors, metric, **options):
    expected, lengths = by_lexsort(queries, stored, num_neighbors, metric)
    indices, distances = nearest_neighbors(
        queries, stored, num_neighbors=num_neighbors, metric=metric, **options
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(indices), expected)
    np.testing.assert_allclose(ops.convert_to_numpy(distances), lengths, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("num_neighbors", "options"),
    [(1, CHUNKED), (5, {}), (15, CHUNKED)],
    ids=["1-chunked", "5-whole", "15-chunked"],
)
@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_pixels_are_ranked_as_lexsort_does(metric, num_neighbors, options, rng):
    stored, queries = pixels(rng, 200, 784), pixels(rng, 20, 784)
    stored[[17, 150]] = stored[3]  # equal rows
    queries[0] = stored[3]
    check(queries, stored, num_neighbors, metric, **options)


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_numbers_that_are_not_whole(metric, rng):
    stored = rng.normal(size=(300, 50)).astype("float32")
    queries = rng.normal(size=(40, 50)).astype("float32")
    check(queries, stored, 5, metric)


def of_16_rows(rng, count):
    """Rows of which so many are alike that no margin of candidates proves which come first."""
    return rng.integers(0, 2, (count, 4)).astype("float32")


@pytest.mark.parametrize("options", [{}, CHUNKED], ids=["whole", "chunked"])
@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_many_more_ties_than_candidates(metric, options, rng):
    check(of_16_rows(rng, 20), of_16_rows(rng, 150), 5, metric, **options)


@pytest.mark.parametrize(("metric", "options"), [("l1", CHUNKED), ("l2", CHUNKED), ("l2", {})])
def test_under_xla(metric, options, rng):
    def search(queries, stored):
        return nearest_neighbors(queries, stored, num_neighbors=5, metric=metric, **options)

    search = compiled(search)  # once: its time is the compiler's
    for rows in (of_16_rows, lambda rng, count: pixels(rng, count, 4)):
        queries, stored = rows(rng, 20), rows(rng, 150)
        expected, _ = by_lexsort(queries, stored, 5, metric)
        indices, _ = search(queries, stored)
        np.testing.assert_array_equal(ops.convert_to_numpy(indices), expected)


def test_squared_distances_that_differ_by_one_above_what_float32_tells_apart():
    """50,979,600 and 50,979,601: in float32 both are 50,979,600."""
    query = np.zeros((1, 785), "float32")
    stored = np.full((20, 785), 255.0, "float32")
    stored[:, 784] = 1.0
    stored[13, 784] = 0.0
    assert np.float32(784 * 255**2) == np.float32(784 * 255**2 + 1)
    indices, _ = nearest_neighbors(query, stored, num_neighbors=3)
    assert [int(i) for i in indices[0]] == [13, 0, 1]


def test_large_numbers_and_small_differences(rng):
    """Where |x|^2 - 2 x.y + |y|^2 loses all digits: the proof fails and all rows are compared."""
    stored = (3e4 + rng.normal(size=(80, 8))).astype("float32")
    queries = (3e4 + rng.normal(size=(5, 8))).astype("float32")
    check(queries, stored, 4, "l2")


def test_all_stored_rows(rng):
    check(pixels(rng, 3, 5), pixels(rng, 12, 5), 12, "l2")


@pytest.mark.parametrize("shape", [(1, 1, 8), (33, 5, 3), (70, 40, 20)])
def test_l1_distances(shape, rng):
    rows, columns, features = shape
    queries, stored = pixels(rng, rows, features), pixels(rng, columns, features)
    expected = np.abs(queries[:, None] - stored[None]).sum(axis=-1)
    found = ops.convert_to_numpy(l1_distances(queries, stored))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("width", [9, 640, 1003])
def test_smallest(width, rng):
    scores = rng.permutation(5 * width).reshape(5, width).astype("float32")
    values, places = smallest(ops.convert_to_tensor(scores), 4)
    order = np.argsort(scores, axis=1)[:, :4]
    np.testing.assert_array_equal(ops.convert_to_numpy(places), order)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, order, 1))


def test_candidates_may_come_in_any_order(rng):
    stored, queries = pixels(rng, 30, 6), pixels(rng, 4, 6)
    stored[20] = stored[4]
    candidates = np.stack([rng.permutation(30) for _ in queries]).astype("int32")
    indices, _ = nearest_of(ops.array(queries), ops.array(stored), ops.array(candidates), 6, "l2")
    expected, _ = by_lexsort(queries, stored, 6, "l2")
    np.testing.assert_array_equal(ops.convert_to_numpy(indices), expected)


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_chunks_cover_all_rows_in_chunks_of_one_size(count, rng):
    rows, sizes = rng.normal(size=(count, 2)).astype("float32"), []

    def function(chunk):
        sizes.append(chunk.shape[0])
        return 2 * chunk, ops.sum(chunk, axis=-1)

    twice, sums = in_chunks(function, rows, 4, like=[((2,), "float32"), ((), "float32")])
    np.testing.assert_array_equal(twice, 2 * rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-6)
    assert set(sizes) <= {min(count, 4), None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_neighbors": 0}, r"`num_neighbors` must be in \[1, 4\], got 0"),
        ({"num_neighbors": 5}, r"`num_neighbors` must be in \[1, 4\], got 5"),
        ({"num_neighbors": 1, "metric": "cosine"}, "`metric` must be one of"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(np.zeros((2, 3)), np.zeros((4, 3)), **options)
