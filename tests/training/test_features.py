import keras
import numpy as np
import pytest

from kerakit.data import Preparation, load
from kerakit.training import FeatureBatches, cached_features, split_head
from kerakit.training.features import feature_batches

PREPARATION = Preparation(height=8, width=8, channels=1)


@pytest.fixture(scope="module")
def model():
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(images, keras.layers.Dense(10, name="head")(x))


def test_the_two_parts_are_the_whole_and_share_its_layers(model, rng):
    body, head = split_head(model)
    images = rng.uniform(0, 255, (5, 8, 8, 1)).astype("float32")
    joined = head.predict(body.predict(images, verbose=0), verbose=0)
    np.testing.assert_allclose(joined, model.predict(images, verbose=0), rtol=1e-5, atol=1e-4)
    head.layers[-1].set_weights([np.zeros((4, 10)), np.arange(10.0)])
    np.testing.assert_array_equal(
        model.predict(images, verbose=0), np.tile(np.arange(10.0), (5, 1))
    )


def test_a_model_that_ends_without_weights_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Softmax()])
    with pytest.raises(ValueError, match="`model` must end in a layer with weights, got 'softmax"):
        split_head(model)


def test_features_are_computed_once(model, tmp_path):
    body, _ = split_head(model)
    data = load("digits")
    options = {"batch_size": 64, "path": tmp_path / "features.npz", "mirrored": True}
    features, labels = cached_features(body, data.val_source, PREPARATION, **options)
    images = np.stack([e["image"][..., :1] for e in data.val.as_numpy_iterator()])
    expected = body.predict(np.concatenate([images, images[:, :, ::-1]]), verbose=0)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-3)  # of values near 100
    assert labels.tolist() == [int(e["label"]) for e in data.val.as_numpy_iterator()] * 2

    again, _ = cached_features(None, data.val_source, PREPARATION, **options)  # no body is asked
    np.testing.assert_array_equal(again, features)
    (tmp_path / "features.npz").write_bytes(b"cut short")
    anew, _ = cached_features(body, data.val_source, PREPARATION, **options)
    np.testing.assert_array_equal(anew, features)


def test_batches_cover_an_epoch_and_start_anywhere():
    features = np.arange(20.0, dtype="float32")[:, None]
    batches = FeatureBatches(features, np.arange(20), batch_size=6, seed=3)
    assert batches.steps_per_epoch == 3

    def taken(step, count):
        return [y.tolist() for _, y in batches.starting_at(step).take(count).as_numpy_iterator()]

    epochs = taken(0, 6)
    first, second = np.ravel(epochs[:3]).tolist(), np.ravel(epochs[3:]).tolist()
    assert len(set(first)) == len(set(second)) == 18
    assert first != second
    assert taken(4, 2) == epochs[4:]
    x, y = next(iter(batches.starting_at(0)))
    np.testing.assert_array_equal(x[:, 0], y)


def test_a_small_set_is_one_batch():
    batches = FeatureBatches(np.zeros((5, 2), "float32"), np.arange(5), batch_size=128, seed=0)
    assert (batches.batch_size, batches.steps_per_epoch) == (5, 1)


def test_feature_batches_hold_out_what_the_data_hold_out(model, tmp_path):
    body, _ = split_head(model)
    data = load("digits")
    batches, validation = feature_batches(body, data, PREPARATION, folder=tmp_path, seed=0)
    assert len(batches.features) == 1437
    ((features, labels),) = validation.as_numpy_iterator()
    assert (features.shape, labels.shape) == ((360, 4), (360, 10))
    assert labels.argmax(axis=1).tolist() == [int(e["label"]) for e in data.val.as_numpy_iterator()]
