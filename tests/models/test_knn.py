import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from kerakit.models.classification import knn_classifier


def digits():
    """(N, 8, 8, 1) pixels 0..16, whole numbers full of ties, and labels."""
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8, 1).astype("float32"), labels


def adapted(images, labels, **options):
    return knn_classifier(input_shape=images.shape[1:], **options).adapt(images, labels)


@pytest.mark.parametrize("num_neighbors", [1, 5, 15])
@pytest.mark.parametrize(("metric", "sklearn_metric"), [("l1", "manhattan"), ("l2", "euclidean")])
def test_answers_as_scikit_learns_brute_force_does(metric, sklearn_metric, num_neighbors):
    images, labels = digits()
    stored, queries = images[:1300], images[1300:1500]
    model = adapted(stored, labels[:1300], metric=metric, num_neighbors=num_neighbors)
    peer = KNeighborsClassifier(num_neighbors, algorithm="brute", metric=sklearn_metric)
    peer.fit(stored.reshape(1300, -1).astype("float64"), labels[:1300])
    flat = queries.reshape(200, -1).astype("float64")

    distances, _ = peer.kneighbors(flat, num_neighbors + 1)
    no_tie = distances[:, -1] - distances[:, -2] > 1e-6  # else it may take either for the last
    shares = np.exp(model.predict(queries, verbose=0))
    assert no_tie.sum() > 100
    np.testing.assert_allclose(shares[no_tie], peer.predict_proba(flat)[no_tie], atol=1e-6)
    found = shares.argmax(axis=1)
    np.testing.assert_array_equal(found[no_tie], peer.predict(flat)[no_tie])


def test_softmax_gives_the_shares():
    images, labels = digits()
    model = adapted(images[:50], labels[:50], num_neighbors=4)
    logits = model.predict(images[50:70], verbose=0)
    shares = model.get_layer("vote")(images[50:70].reshape(20, -1))
    np.testing.assert_allclose(keras.ops.softmax(logits), shares, atol=2e-6)


def test_batches_and_normalisation():
    images, labels = digits()
    images, labels = images[:60], labels[:60]
    batches = [(images[:32], labels[:32]), (images[32:], labels[32:])]
    model = knn_classifier(input_shape=(8, 8, 1), normalization="image_max", num_neighbors=1)
    model.adapt(batches)
    stored = np.asarray(keras.ops.convert_to_numpy(model.get_layer("vote").stored))
    brightest = images.max(axis=(1, 2, 3))[:, None]
    np.testing.assert_allclose(stored, images.reshape(60, -1) / brightest, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(images * 3, verbose=0).argmax(1), labels)


def test_features():
    model = knn_classifier(input_shape=(2,), num_classes=2, num_neighbors=1)
    model.adapt(np.array([[0.0, 0.0], [3.0, 3.0]]), np.array([1, 0]))
    answers = model.predict(np.array([[1.0, 0.0], [2.0, 3.0]]), verbose=0)
    np.testing.assert_array_equal(answers.argmax(1), [1, 0])


@pytest.mark.slow
def test_saved_and_exported(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModels are written by the TensorFlow backend")
    import tensorflow as tf

    from kerakit import export
    from kerakit.data import Preparation

    images, labels = digits()
    model = adapted(images[:100], labels[:100], metric="l1", num_neighbors=3, query_chunk=8)
    folder = export.save(
        model,
        tmp_path / "export",
        preparation=Preparation(height=8, width=8, channels=1),
        classes=[str(i) for i in range(10)],
    )
    served = tf.saved_model.load(folder).signatures["tensors"]
    expected = model.predict(images[100:150], verbose=0)
    for count in (1, 3, 17):
        answers = served(images=tf.constant(images[100 : 100 + count], tf.uint8))
        np.testing.assert_allclose(answers["logits"], expected[:count], atol=1e-6)
        np.testing.assert_allclose(answers["probabilities"], np.exp(expected[:count]), atol=2e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images[100:150], verbose=0), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"input_shape": (8, 8)}, r"`input_shape` must be \(H, W, C\) or \(D,\), got \(8, 8\)"),
        ({"input_shape": (8,), "normalization": "image_max"}, "`normalization` must be None"),
        ({"metric": "cosine"}, "`metric` must be one of"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        knn_classifier(**options)


def test_bad_data():
    model = knn_classifier(input_shape=(2,), num_classes=2)
    with pytest.raises(ValueError, match="`labels` must be as many as the 3 inputs, got 2"):
        model.adapt(np.zeros((3, 2)), np.zeros(2, int))
    with pytest.raises(ValueError, match="`data` must have at least one batch, got none"):
        model.adapt([])
    with pytest.raises(ValueError, match="call `adapt` first"):
        model(np.zeros((1, 2)))
