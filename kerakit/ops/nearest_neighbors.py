"""The nearest of many stored rows, exactly."""

import functools

from keras import ops

from kerakit.ops.chunks import in_chunks
from kerakit.ops.l1_distances import l1_distances

METRICS = ("l1", "l2")
_SPARE = 8  # candidates beside the neighbours asked for
_BLOCK = 32  # scores of which only the smallest is looked at first
_ROUNDING = 2.0**-24  # of float32


def nearest_neighbors(
    queries,
    stored,
    *,
    num_neighbors,
    metric="l2",
    squared_norms=None,
    query_chunk=512,
    store_chunk=32768,
):
    """Indices and distances of the stored rows nearest to each query, nearest first.

    `l1`: `d = sum |x - y|`. `l2`: `d = sqrt(sum (x - y)^2)`. Equal distances come in the order
    of their indices. The search has three parts:

    1. All distances in the form that is fast, `|y|^2 - 2 x.y` by one matrix product for `l2`,
       and of these the K + 8 smallest as candidates.
    2. The candidates' distances from their differences, in two sums, a coarse one that is
       exact and one of what is left. For whole numbers, pixels 0..255 of up to 46,000 values
       an image, the result is exact, where a float32 sum of 784 squares has passed 2**24 and
       would call different distances equal; for others it is right to about 1e-8.
    3. A proof: rounding moves a distance of part 1 by at most `g (|x| + |y|)^2`, with
       `g = D 2^-24`, so that where the K-th neighbour is nearer than the farthest candidate
       by more, no row left out can be nearer. A query without this proof (more rows at the
       same distance than there are candidates) is compared with every row as in part 2.

    The proof takes matrix products to be of float32, as they are on CPU. It does not hold where
    a device multiplies in TensorFloat-32 or bfloat16, as GPUs and TPUs may unless told otherwise.

    Args:
        queries: (B, D) values.
        stored: (N, D) values.
        num_neighbors: K, in [1, N].
        metric: `"l1"` or `"l2"`.
        squared_norms: (N,) sums of the stored rows' squares, where they are known already.
        query_chunk: Queries that are compared at once.
        store_chunk: Stored rows that they are compared with at once: memory is that of
            `query_chunk * store_chunk` values.

    Returns:
        (B, K) int32 indices and (B, K) float32 distances.

    Raises:
        ValueError: If `num_neighbors` or `metric` is out of its range.

    Reference:
        Higham, Accuracy and Stability of Numerical Algorithms, 2002, Section 3.1: the bound on
        the rounding of an inner product in any order of summation.

    Example:

    >>> import numpy as np
    >>> stored = np.array([[0.0, 3.0], [1.0, 0.0], [9.0, 9.0], [0.0, 1.0]])
    >>> indices, distances = nearest_neighbors(np.zeros((1, 2)), stored, num_neighbors=3)
    >>> [int(i) for i in indices[0]], [float(d) for d in distances[0]]
    ([1, 3, 0], [1.0, 1.0, 3.0])
    """
    queries, stored = ops.cast(queries, "float32"), ops.cast(stored, "float32")
    size = stored.shape[0]
    if metric not in METRICS:
        raise ValueError(f"`metric` must be one of {METRICS}, got {metric!r}.")
    if not 1 <= num_neighbors <= size:
        raise ValueError(f"`num_neighbors` must be in [1, {size}], got {num_neighbors}.")
    if metric == "l2" and squared_norms is None:
        squared_norms = ops.sum(ops.square(stored), axis=-1)
    count = min(num_neighbors + _SPARE, size)

    def search(chunk):
        scores, candidates = smallest_scores(
            chunk, stored, squared_norms, count, metric, store_chunk
        )
        indices, distances = nearest_of(chunk, stored, candidates, num_neighbors, metric)
        if count == size:
            return indices, distances
        nothing_below = _least_distance(scores[:, -1], chunk, squared_norms, metric)
        # A part in 2**20 for the rounding of this comparison's own sides.
        is_proved = distances[:, -1] < nothing_below * (1 - 2.0**-20)
        return _search_all(chunk, stored, is_proved, indices, distances, metric, store_chunk)

    like = [((num_neighbors,), "int32"), ((num_neighbors,), "float32")]
    return in_chunks(search, queries, query_chunk, like=like)


def nearest_of(queries, stored, candidates, num_neighbors, metric):
    """The nearest of some stored rows, of each query its own, by their exact distances.

    Args:
        queries: (B, D) values.
        stored: (N, D) values.
        candidates: (B, M) int32 indices of stored rows.
        num_neighbors: K, in [1, M].
        metric: `"l1"` or `"l2"`.

    Returns:
        (B, K) int32 indices and (B, K) float32 distances, nearest first, equal distances in the
        order of their indices.
    """
    candidates = ops.sort(candidates, axis=-1)
    terms = _terms(queries[:, None, :], ops.take(stored, candidates, axis=0), metric)
    quantum = _quantum(ops.max(terms, axis=(1, 2)), terms.shape[-1])[:, None]
    coarse, fine = _two_sums(terms, quantum)
    order = _order(coarse, fine)[:, :num_neighbors]
    coarse, fine = (ops.take_along_axis(x, order, axis=-1) for x in (coarse, fine))
    distances = _distance(coarse * quantum + fine, metric)
    return ops.take_along_axis(candidates, order, axis=-1), distances


def smallest(scores, count):
    """The smallest scores of each row and their places, smallest first.

    The M smallest lie in the M blocks of 32 with the smallest minima, so that only these are
    sorted: of 256 x 20,480 scores the 13 smallest took 6 ms, with `top_k` of whole rows 30.

    Args:
        scores: (B, N) values.
        count: M, in [1, N].

    Returns:
        (B, M) values and (B, M) int32 places.
    """
    width = scores.shape[-1]
    if width < 2 * _BLOCK * count:
        values, places = ops.top_k(-scores, count)
        return -values, ops.cast(places, "int32")
    if width % _BLOCK:
        missing = -width % _BLOCK
        scores = ops.pad(scores, ((0, 0), (0, missing)), constant_values=float("inf"))
    blocks = ops.reshape(scores, (-1, scores.shape[-1] // _BLOCK, _BLOCK))
    _, chosen = ops.top_k(-ops.min(blocks, axis=-1), count)
    chosen = ops.cast(chosen, "int32")[..., None]
    places = ops.reshape(chosen * _BLOCK + ops.arange(_BLOCK, dtype="int32"), (-1, count * _BLOCK))
    values = ops.reshape(ops.take_along_axis(blocks, chosen, axis=1), (-1, count * _BLOCK))
    values, best = ops.top_k(-values, count)
    return -values, ops.take_along_axis(places, ops.cast(best, "int32"), axis=-1)


def smallest_scores(queries, stored, squared_norms, count, metric, store_chunk):
    """The smallest scores of each query over all stored rows, by the fast form.

    Args:
        queries: (B, D) values.
        stored: (N, D) values.
        squared_norms: (N,) sums of the stored rows' squares; unused for `"l1"`.
        count: M, in [1, N].
        metric: `"l1"`: scores are distances; `"l2"`: squared ones less the query's own square.
        store_chunk: Stored rows at a time.

    Returns:
        (B, M) scores, smallest first, and (B, M) int32 indices.
    """

    def scores_of(start, length):
        rows = ops.slice(stored, (start, 0), (length, stored.shape[1]))
        if metric == "l1":
            return l1_distances(queries, rows)
        norms = ops.slice(squared_norms, (start,), (length,))
        return norms + ops.matmul(doubled, ops.transpose(rows))

    doubled = -2.0 * queries  # exact, and a pass over the products less
    size = stored.shape[0]
    chunks = -(-size // store_chunk)
    length = max(-(-size // chunks), count)
    if length >= size:
        return smallest(scores_of(0, size), count)

    def step(number, best):
        start = ops.minimum(number * length, size - length)
        places = ops.arange(length, dtype="int32") + start
        scores = ops.where(places < number * length, float("inf"), scores_of(start, length))
        scores, found = smallest(scores, count)
        scores = ops.concatenate([best[0], scores], axis=-1)
        places = ops.concatenate([best[1], ops.take(places, found)], axis=-1)
        scores, found = smallest(scores, count)
        return scores, ops.take_along_axis(places, found, axis=-1)

    none = ops.zeros_like(queries[:, :1]) + float("inf")
    start = ops.tile(none, (1, count)), ops.zeros_like(ops.tile(none, (1, count)), dtype="int32")
    return ops.fori_loop(0, -(-size // length), step, start)


def _least_distance(score, queries, squared_norms, metric):
    """What the distance of a row is at least, whose score is at least this one."""
    rounding = (queries.shape[1] + 8) * _ROUNDING
    rounding = rounding / (1 - rounding)
    if metric == "l1":
        return score * (1 - rounding)
    norm = ops.sum(ops.square(queries), axis=-1)
    largest = ops.square(ops.sqrt(norm) + ops.sqrt(ops.max(squared_norms)))
    return ops.sqrt(ops.maximum(score + norm - rounding * largest, 0.0))


def _search_all(queries, stored, is_proved, indices, distances, metric, store_chunk):
    """Compares the queries that lack a proof with every row, one query after another."""
    features = stored.shape[1]
    num_neighbors = indices.shape[1]

    def one(is_proved, indices, distances):
        place = ops.cast(ops.argmin(ops.cast(is_proved, "int32")), "int32")
        query = ops.slice(queries, (place, 0), (1, features))
        largest = ops.maximum(ops.max(stored) - ops.min(query), ops.max(query) - ops.min(stored))
        quantum = _quantum(largest if metric == "l1" else ops.square(largest), features)
        coarse, fine = in_chunks(
            lambda rows: _two_sums(_terms(query, rows, metric), quantum),
            stored,
            store_chunk,
            like=[((), "float32")] * 2,
        )
        order = _order(coarse, fine)[:num_neighbors]
        totals = ops.take(coarse, order) * quantum + ops.take(fine, order)
        return (
            ops.slice_update(is_proved, (place,), ops.ones((1,), "bool")),
            ops.slice_update(indices, (place, 0), order[None]),
            ops.slice_update(distances, (place, 0), _distance(totals, metric)[None]),
        )

    _, indices, distances = ops.while_loop(
        lambda is_proved, *_: ops.logical_not(ops.all(is_proved)),
        one,
        (is_proved, indices, distances),
    )
    return indices, distances


def _terms(one, other, metric):
    difference = one - other
    return ops.abs(difference) if metric == "l1" else ops.square(difference)


def _distance(total, metric):
    return total if metric == "l1" else ops.sqrt(total)


@functools.cache
def _powers():
    return [2.0**n for n in range(-126, 128)]


def _quantum(largest, features):
    """Power of two of which sums of `features` multiples, up to `largest` each, are exact."""
    powers = ops.convert_to_tensor(_powers(), "float32")
    enough = powers >= ops.expand_dims(largest * (features * _ROUNDING), -1)
    # Picked from a table: a power function may be off by the last digit.
    return ops.min(ops.where(enough, powers, powers[-1]), axis=-1)


def _two_sums(terms, quantum):
    """Sums over the last axis: whole multiples of `quantum`, and what is left, below it."""
    of_terms = ops.expand_dims(quantum, -1)
    multiples = ops.floor(terms / of_terms)
    coarse = ops.sum(multiples, axis=-1)
    fine = ops.sum(terms - multiples * of_terms, axis=-1)
    carried = ops.floor(fine / quantum)
    return coarse + carried, fine - carried * quantum


def _order(coarse, fine):
    """Places from the smallest on; of equal ones, the first comes first, as argsort is stable."""
    by_fine = ops.argsort(fine, axis=-1)
    by_coarse = ops.argsort(ops.take_along_axis(coarse, by_fine, axis=-1), axis=-1)
    return ops.cast(ops.take_along_axis(by_fine, by_coarse, axis=-1), "int32")
