import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import Mixup
from kerakit.data import (
    IndexedSource,
    Preparation,
    TrainingBatches,
    class_weights,
    load,
    soft_labels,
    validation_batches,
)


def source_of(labels):
    labels = tf.constant(labels, tf.int32)

    def example(index):
        return {
            "image": tf.zeros((4, 4, 3), tf.uint8),
            "label": labels[index],
            "example_id": tf.cast(index, tf.int32),
        }

    return IndexedSource(len(labels), example)


def test_weights_are_inverse_to_the_counts():
    """Scikit-learn's "balanced": 8 / (4 x 5), 8 / (4 x 2), 8 / (4 x 1); a class unseen has 0."""
    weights = class_weights(source_of([0, 0, 0, 0, 0, 1, 1, 3]), 4)
    np.testing.assert_allclose(weights, [0.4, 1.0, 0.0, 2.0])


def test_a_mixed_label_weighs_the_mean():
    batch = {"label": tf.constant([[0.25, 0.75], [1.0, 0.0]])}
    batch = soft_labels(2, weights=[4.0, 8.0])(batch, None)
    assert batch["weight"].numpy().tolist() == [7.0, 4.0]


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0]])
def test_training_batches_hand_on_labels_and_weights(weights):
    transform = soft_labels(3, weights=weights)
    batches = TrainingBatches(
        source_of([0, 1, 2, 2]), Preparation(height=4, width=4), batch_size=4, seed=0,
        augment=transform,
    )  # fmt: skip
    images, labels, *rest = next(iter(batches.starting_at(0)))
    assert images.shape == (4, 4, 4, 3)
    assert sorted(labels.numpy().argmax(axis=1)) == [0, 1, 2, 2]
    assert len(rest) == (weights is not None)
    if weights:
        np.testing.assert_array_equal(rest[0], labels.numpy() @ weights)


def test_mixed_labels_stay_as_they_are():
    batch = {"image": tf.zeros((4, 8, 8, 3), tf.uint8), "label": tf.range(4)}
    mixed = Mixup(5)(batch, tf.constant([0, 1]))
    after = soft_labels(5)(mixed, tf.constant([0, 1]))
    np.testing.assert_array_equal(after["label"], mixed["label"])


def test_validation_batches_are_the_examples_held_out():
    data = load("digits")
    batches = validation_batches(data, Preparation(height=8, width=8), batch_size=100)
    labels = np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
    assert labels.sum(axis=1).tolist() == [1.0] * 360
    assert labels.argmax(axis=1).tolist() == [int(e["label"]) for e in data.val.as_numpy_iterator()]
