"""The nearest of many stored rows, from a short list chosen in fewer dimensions."""

import numpy as np
from keras import ops

from kerakit.ops.chunks import in_chunks
from kerakit.ops.nearest_neighbors import nearest_of, smallest_scores

_EXTRA = 8  # directions that are followed beside those asked for
_ITERATIONS = 3


def approximate_neighbors(
    queries,
    stored,
    *,
    directions,
    projected,
    num_neighbors,
    shortlist=64,
    metric="l2",
    query_chunk=512,
    store_chunk=32768,
):
    """Indices and distances of stored rows near to each query, most of them the nearest.

    L2 distances along P directions, which are at most the distances in all D, choose a short
    list; the list is ranked by the exact distances of `nearest_neighbors`. The first step costs P
    products a stored row in place of D. What it misses are rows that differ from the query
    mainly in other directions, so that it suits data of few degrees of freedom, as images are,
    and not noise, in which all directions are alike.

    Args:
        queries: (B, D) values.
        stored: (N, D) values.
        directions: (D, P) orthonormal columns, as of `principal_directions`.
        projected: (N, P), `stored @ directions`.
        num_neighbors: K, in [1, N].
        shortlist: Rows that are ranked exactly; at least K, and all if N is less.
        metric: `"l1"` or `"l2"`, of the exact distances.
        query_chunk: Queries at once.
        store_chunk: Stored rows at once.

    Returns:
        (B, K) int32 indices and (B, K) float32 distances, nearest first.

    Raises:
        ValueError: If `num_neighbors` is out of its range.

    Example:

    >>> import numpy as np
    >>> stored = np.random.default_rng(0).normal(size=(500, 9)) * np.linspace(9, 1, 9)
    >>> directions = principal_directions(stored, 5)
    >>> projected = ops.matmul(ops.cast(stored, "float32"), directions)
    >>> indices, distances = approximate_neighbors(
    ...     stored[:1], stored, directions=directions, projected=projected, num_neighbors=2
    ... )
    >>> int(indices[0, 0]), float(distances[0, 0])
    (0, 0.0)
    """
    queries, stored = ops.cast(queries, "float32"), ops.cast(stored, "float32")
    count = min(shortlist, stored.shape[0])
    if not 1 <= num_neighbors <= count:
        raise ValueError(f"`num_neighbors` must be in [1, {count}], got {num_neighbors}.")
    norms = ops.sum(ops.square(projected), axis=-1)

    def search(chunk):
        along = ops.matmul(chunk, directions)
        _, candidates = smallest_scores(along, projected, norms, count, "l2", store_chunk)
        return nearest_of(chunk, stored, candidates, num_neighbors, metric)

    like = [((num_neighbors,), "int32"), ((num_neighbors,), "float32")]
    return in_chunks(search, queries, query_chunk, like=like)


def principal_directions(rows, count):
    """The orthonormal directions along which rows vary most, most first.

    Found by three products of the rows' covariance with a random basis, which is never formed:
    the cost is that of 2 x 3 passes over the rows for any D. Directions of nearly equal variance
    come out mixed.

    Args:
        rows: (N, D) values.
        count: P, in [1, D].

    Returns:
        (D, P) float32.

    Reference:
        Halko, Martinsson and Tropp, Finding Structure with Randomness, 2011, Algorithm 4.4,
        with the covariance in place of the matrix.

    Example:

    >>> import numpy as np
    >>> rows = np.array([[0.0, 1.0], [3.0, 1.0], [7.0, 1.1]])
    >>> [round(abs(float(x)), 2) for x in principal_directions(rows, 1)[:, 0]]
    [1.0, 0.01]
    """
    rows = ops.cast(rows, "float32")
    features = rows.shape[1]
    width = min(count + _EXTRA, features)
    mean = ops.mean(rows, axis=0, keepdims=True)
    start = np.random.default_rng(0).normal(size=(features, width)).astype("float32")
    basis, _ = ops.qr(ops.convert_to_tensor(start))
    for _ in range(_ITERATIONS):
        along = ops.matmul(rows, basis) - ops.matmul(mean, basis)
        # The mean drops out here: what lies along the basis sums to 0.
        basis, _ = ops.qr(ops.matmul(ops.transpose(rows), along))
    along = ops.matmul(rows, basis) - ops.matmul(mean, basis)
    _, rotation = ops.eigh(ops.matmul(ops.transpose(along), along))
    return ops.matmul(basis, ops.flip(rotation, axis=-1)[:, :count])
