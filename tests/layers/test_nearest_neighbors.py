import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import NearestNeighbors


def clusters(rng, count=60, features=6):
    labels = rng.integers(0, 3, count)
    inputs = rng.integers(0, 40, (count, features)) + 60 * labels[:, None]
    return inputs.astype("float32"), labels


def shares_by_loop(stored, labels, inputs, num_neighbors, num_classes):
    shares = np.zeros((len(inputs), num_classes))
    for row, x in zip(shares, inputs, strict=True):
        distances = ((stored - x) ** 2).sum(axis=1)
        for i in np.lexsort((np.arange(len(stored)), distances))[:num_neighbors]:
            row[labels[i]] += 1 / num_neighbors
    return shares


@pytest.mark.parametrize("num_neighbors", [1, 4, 15])
def test_shares_are_the_loops(num_neighbors, rng):
    inputs, labels = clusters(rng)
    layer = NearestNeighbors(4, num_neighbors=num_neighbors)
    layer.adapt(inputs[:40], labels[:40])
    expected = shares_by_loop(inputs[:40], labels[:40], inputs[40:], num_neighbors, 4)
    np.testing.assert_allclose(layer(inputs[40:]), expected, atol=1e-6)


def test_the_lowest_class_wins_a_tie():
    layer = NearestNeighbors(5, num_neighbors=2)
    layer.adapt(np.array([[0.0], [2.0]]), np.array([4, 1]))
    shares = ops.convert_to_numpy(layer(np.array([[1.0]])))
    np.testing.assert_array_equal(shares, [[0, 0.5, 0, 0, 0.5]])
    assert shares.argmax() == 1


@pytest.mark.parametrize("projections", [None, 2])
def test_saved_with_its_store(projections, rng, tmp_path):
    stored, labels = clusters(rng)
    inputs = keras.Input((6,))
    layer = NearestNeighbors(3, num_neighbors=3, projections=projections, shortlist=9)
    model = keras.Model(inputs, layer(inputs))
    layer.adapt(stored, labels)  # after the model was made
    assert [w.shape for w in layer.weights][:2] == [(60, 6), (60,)]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(stored, verbose=0), model.predict(stored, verbose=0)
    )
    assert again.layers[-1].store_size == 60


def test_adapting_again_replaces_the_store(rng):
    stored, labels = clusters(rng)
    layer = NearestNeighbors(3, num_neighbors=1)
    layer.adapt(stored, labels)
    run = keras.Sequential([layer]).predict
    np.testing.assert_array_equal(run(stored, verbose=0).argmax(1), labels)
    layer.adapt(stored, (labels + 1) % 3)
    np.testing.assert_array_equal(run(stored, verbose=0).argmax(1), (labels + 1) % 3)


def test_half_precision_does_not_merge_distances():
    """2048 and 2049 are one number in float16 and bfloat16."""
    layer = NearestNeighbors(2, num_neighbors=1, dtype="mixed_float16")
    layer.adapt(np.array([[2048.0], [2049.0]]), np.array([0, 1]))
    shares = layer(np.array([[2049.0], [2048.0]], "float32"))
    assert keras.backend.standardize_dtype(shares.dtype) == "float32"
    np.testing.assert_array_equal(ops.convert_to_numpy(shares).argmax(1), [1, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"num_neighbors": 0}, "`num_neighbors` must be a positive integer, got 0"),
        ({"projections": 0}, "`projections` must be a positive integer, got 0"),
        ({"query_chunk": 1.5}, "`query_chunk` must be a positive integer, got 1.5"),
        ({"metric": "l3"}, "`metric` must be one of"),
        ({"shortlist": 4}, "`shortlist` must be at least `num_neighbors`, 5, got 4"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        NearestNeighbors(**{"num_classes": 3, **options})


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.zeros((9, 2)), np.zeros(8, int), r"must be \(N, D\) and \(N,\), got shapes"),
        (np.zeros((9, 2)), np.full(9, 3), r"`labels` must be classes in \[0, 3\), got \[3\]"),
        (np.zeros((4, 2)), np.zeros(4, int), "`num_neighbors` must be at most the 4 stored"),
    ],
)
def test_bad_stores(inputs, labels, message):
    with pytest.raises(ValueError, match=message):
        NearestNeighbors(3).adapt(inputs, labels)


def test_another_size_is_refused():
    layer = NearestNeighbors(3)
    layer.adapt(np.zeros((9, 2)), np.zeros(9, int))
    with pytest.raises(ValueError, match="as many as the 9 stored before, got 8"):
        layer.adapt(np.zeros((8, 2)), np.zeros(8, int))
    with pytest.raises(ValueError, match="must have 2 values each, got 3"):
        layer.adapt(np.zeros((9, 3)), np.zeros(9, int))


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"`inputs` must be \(B, D\), got shape"):
        NearestNeighbors(3).build((None, 4, 4))
    with pytest.raises(ValueError, match="`projections` must be at most the 2 values"):
        NearestNeighbors(3, projections=3).build((None, 2))
    with pytest.raises(ValueError, match="no examples to compare with: call `adapt` first"):
        NearestNeighbors(3)(np.zeros((1, 2)))
