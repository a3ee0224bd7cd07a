"""ConfusionMatrix against scikit-learn and NumPy, and in stock fit and evaluate."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops
from sklearn import metrics as sklearn_metrics

from kerakit.metrics import ConfusionMatrix


def counted_by_loop(labels, predicted, weights, num_classes):
    matrix = np.zeros((num_classes, num_classes))
    for label, guess, weight in zip(
        labels.ravel(), predicted.ravel(), weights.ravel(), strict=True
    ):
        if 0 <= label < num_classes and 0 <= guess < num_classes:
            matrix[label, guess] += weight
    return matrix


def figures(metric):
    return {key: float(value) for key, value in metric.result().items()}


# One number of examples, for JAX compiles each shape anew.
EXAMPLES = 24


@settings(max_examples=25, deadline=None)
@given(
    num_classes=st.sampled_from([2, 3, 7]),
    labels=hnp.arrays("int64", EXAMPLES, elements=st.integers(0, 6)),
    predicted=hnp.arrays("int64", EXAMPLES, elements=st.integers(0, 6)),
    weights=hnp.arrays("float64", EXAMPLES, elements=st.sampled_from([0.0, 1.0, 2.0, 0.25])),
)
def test_equals_scikit_learn(num_classes, labels, predicted, weights):
    labels, predicted = labels % num_classes, predicted % num_classes
    weights[0] = 1.0  # scikit-learn has no answer for nothing at all
    metric = ConfusionMatrix(num_classes, per_class=True, from_scores=False)
    for part in np.split(np.arange(EXAMPLES), 3):
        metric.update_state(labels[part], predicted[part], weights[part])
    every = {"labels": range(num_classes), "sample_weight": weights}
    np.testing.assert_array_equal(
        metric.matrix(), sklearn_metrics.confusion_matrix(labels, predicted, **every)
    )
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted, sample_weight=weights)
    }
    for average in ("macro", "micro", None):
        found = sklearn_metrics.precision_recall_fscore_support(
            labels, predicted, average=average, zero_division=0, **every
        )
        for name, value in zip(("precision", "recall", "f1"), found[:3], strict=True):
            if average:
                expected[f"{name}_{average}"] = value
            else:
                expected |= {f"{name}/{index}": v for index, v in enumerate(value)}
    actual = figures(metric)
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        assert actual[key] == pytest.approx(value, abs=3e-7), key  # float32 against float64


def one_hot(labels):
    return np.eye(4)[labels]


@pytest.mark.parametrize("shape", [(6,), (2, 3, 5)])
@pytest.mark.parametrize(
    ("of_labels", "of_predicted", "from_scores"),
    [
        (np.asarray, one_hot, True),
        (lambda labels: labels[..., None], one_hot, True),
        (one_hot, one_hot, True),
        (one_hot, lambda predicted: 5 * one_hot(predicted) - 7, True),
        (np.asarray, np.asarray, False),
        (lambda labels: labels[..., None].astype("float32"), np.asarray, False),
        (one_hot, np.asarray, False),
    ],
    ids=["sparse", "column", "one_hot", "logits", "ids", "ids_column", "ids_one_hot"],
)
def test_forms_of_labels_and_predictions(rng, shape, of_labels, of_predicted, from_scores):
    labels, predicted = rng.integers(0, 4, shape), rng.integers(0, 4, shape)
    metric = ConfusionMatrix(4, from_scores=from_scores)
    metric.update_state(of_labels(labels), of_predicted(predicted))
    expected = counted_by_loop(labels, predicted, np.ones(shape), 4)
    np.testing.assert_array_equal(metric.matrix(), expected)


@pytest.mark.parametrize("weight_shape", [(3,), (3, 1), (3, 1, 1), (3, 4, 5), (3, 4, 5, 1)])
def test_weights_of_maps(rng, weight_shape):
    labels, predicted = rng.integers(0, 3, (2, 3, 4, 5))
    weights = rng.integers(0, 4, weight_shape).astype("float64")
    metric = ConfusionMatrix(3, from_scores=False)
    metric.update_state(labels, predicted, weights)
    of_pixels = np.broadcast_to(
        weights.reshape(weights.shape[0], *(weights.shape[1:3] if weights.size > 3 else (1, 1))),
        labels.shape,
    )
    expected = counted_by_loop(labels, predicted, of_pixels, 3)
    np.testing.assert_array_equal(metric.matrix(), expected)


def test_classes_outside_are_left_out(rng):
    labels = np.array([0, 1, 2, -1, 3, 255, -2147483648, 1, 2])
    predicted = np.array([0, 2, 2, 0, 1, 2, 0, -1, 3])
    metric = ConfusionMatrix(3, from_scores=False)
    metric.update_state(labels, predicted, np.r_[np.ones(3), np.full(6, np.nan)])
    np.testing.assert_array_equal(metric.matrix(), [[1, 0, 0], [0, 0, 1], [0, 0, 1]])
    expected = sklearn_metrics.confusion_matrix(labels, predicted, labels=range(3))
    np.testing.assert_array_equal(metric.matrix(), expected)


def test_ignored_mask_value_in_uint8():
    metric = ConfusionMatrix(2)
    metric.update_state(np.array([[0, 1, 255]], "uint8"), np.array([[[2, 1], [2, 1], [0, 1]]]))
    np.testing.assert_array_equal(metric.matrix(), [[1, 0], [1, 0]])


def test_one_hot_row_of_zeros_is_left_out():
    metric = ConfusionMatrix(2)
    metric.update_state(np.array([[0, 1], [0, 0]]), np.array([[0.4, 0.6], [0.4, 0.6]]))
    np.testing.assert_array_equal(metric.matrix(), [[0, 0], [0, 1]])


def test_counts_exactly_beyond_float32():
    metric = ConfusionMatrix(2, from_scores=False)
    plain = np.float32(0)
    weights = [2.0**24] * 9 + [1.0] * 7 + [2.0**24 - 1] * 3 + [3.0] * 5
    for weight in weights:
        metric.update_state([1], [0], [weight])
        plain += np.float32(weight)
    assert metric.matrix()[1, 0] == sum(weights)
    assert plain != sum(weights)  # what a float32 count would have said
    assert figures(metric)["accuracy"] == 0.0


def test_counts_a_large_map_exactly():
    metric = ConfusionMatrix(2, from_scores=False)
    ids = np.zeros((1, 1024, 1024), "uint8")
    for _ in range(20):
        metric.update_state(ids, ids)
    assert metric.matrix()[0, 0] == 20 * 2**20 > 2**24


def test_many_fractional_weights_do_not_drift():
    weight, count = np.float32(0.1), 2**20
    metric = ConfusionMatrix(3, from_scores=False)
    ids = np.full(count, 2)
    metric.update_state(ids, ids, np.full(count, weight))
    assert metric.matrix()[2, 2] == pytest.approx(count * float(weight), rel=2e-4)


def test_two_halves_merged_are_the_whole(rng):
    labels, scores = rng.integers(0, 5, 200), rng.normal(size=(200, 5))
    weights = rng.integers(0, 2**20, 200)
    whole, first, second = (ConfusionMatrix(5) for _ in range(3))
    whole.update_state(labels, scores, weights)
    first.update_state(labels[:100], scores[:100], weights[:100])
    second.update_state(labels[100:], scores[100:], weights[100:])
    first.merge_state([second])
    np.testing.assert_array_equal(first.matrix(), whole.matrix())
    assert figures(first) == figures(whole)


def test_states_of_replicas_may_be_added(rng):
    """tf.distribute sums a metric's variables over replicas without calling the metric."""
    parts = [ConfusionMatrix(2, from_scores=False) for _ in range(3)]
    for part in parts:
        part.update_state([0, 1], [0, 0], [2.0**24 - 1, 4095.0])
    parts[0].counts.assign(sum(ops.convert_to_numpy(part.counts) for part in parts))
    np.testing.assert_array_equal(parts[0].matrix(), [[3 * (2**24 - 1), 0], [3 * 4095, 0]])


def test_nothing_counted_is_zero_and_reset_forgets():
    metric = ConfusionMatrix(3, from_scores=False)
    assert set(figures(metric).values()) == {0.0}
    metric.update_state([1, 2], [1, 2])
    assert figures(metric)["recall_macro"] == pytest.approx(2 / 3)
    metric.reset_state()
    assert set(figures(metric).values()) == {0.0}


def test_names_in_the_result():
    metric = ConfusionMatrix(
        2, classes=("cat", "dog"), averages=("macro",), per_class=True, prefix="aux_"
    )
    assert list(metric.result()) == [
        *("aux_accuracy", "aux_precision_macro", "aux_recall_macro", "aux_f1_macro"),
        *("aux_precision/cat", "aux_precision/dog", "aux_recall/cat", "aux_recall/dog"),
        *("aux_f1/cat", "aux_f1/dog"),
    ]


def test_config_goes_round():
    metric = ConfusionMatrix(2, classes=["a", "b"], from_scores=False, averages=["macro"])
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    assert again.get_config()["classes"] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be at least 2, got 1"),
        ({"classes": ["a", "b"]}, r"`classes` must be 3 different names, got \['a', 'b'\]"),
        ({"classes": ["a", "b", "a"]}, "`classes` must be 3 different names"),
        ({"averages": ["weighted"]}, "`averages` must be a list of 'macro' and 'micro'"),
        ({"averages": "macro"}, "`averages` must be a list of 'macro' and 'micro', got 'macro'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(**{"num_classes": 3, **arguments})


def test_bad_shapes_and_merges():
    metric = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=r"last axis of 3 .* got shape \(4, 1\)"):
        metric.update_state(np.zeros(4), np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"`y_true` must fit the predicted classes \(4,\)"):
        metric.update_state(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"`y_true` must fit .* got shape \(2,\)"):
        metric.update_state(np.zeros(2), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="`metrics` must have 3 classes, got 2"):
        metric.merge_state([ConfusionMatrix(2)])


# In stock fit and evaluate.


@pytest.fixture
def blobs(rng):
    labels = rng.integers(0, 3, 48)
    return np.eye(3)[labels] + rng.normal(0, 0.6, (48, 3)), labels


def classifier(metric, *, dtype=None, jit_compile="auto", weighted=False):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, dtype=dtype)])
    model.compile(
        keras.optimizers.SGD(0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=None if weighted else [metric],
        weighted_metrics=[metric] if weighted else None,
        jit_compile=jit_compile,
    )
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "jit_compile"),
    [("float32", True), ("mixed_float16", "auto"), ("mixed_bfloat16", "auto")],
)
def test_logs_of_fit_and_evaluate(blobs, dtype, jit_compile):
    if jit_compile is True and keras.backend.backend() == "torch":
        pytest.skip("there jit_compile is torch.compile, which warns inside Keras's own step")
    x, labels = blobs
    metric = ConfusionMatrix(3, per_class=True, classes=["a", "b", "c"])
    model = classifier(metric, dtype=dtype, jit_compile=jit_compile)
    history = model.fit(
        x, labels, validation_data=(x[:20], labels[:20]), epochs=2, batch_size=16, verbose=0
    ).history
    names = ["accuracy"]
    for figure in ("precision", "recall", "f1"):
        names += [f"{figure}_macro", f"{figure}_micro", *(f"{figure}/{c}" for c in "abc")]
    assert set(history) == {"loss", "val_loss", *names, *(f"val_{name}" for name in names)}

    predicted = np.argmax(model.predict(x[:20], verbose=0), axis=-1)
    macro = sklearn_metrics.precision_recall_fscore_support(
        labels[:20], predicted, average="macro", zero_division=0, labels=range(3)
    )
    for name, value in zip(("precision", "recall", "f1"), macro[:3], strict=True):
        assert history[f"val_{name}_macro"][-1] == pytest.approx(value, abs=3e-7)
    expected = sklearn_metrics.confusion_matrix(labels[:20], predicted, labels=range(3))
    np.testing.assert_array_equal(metric.matrix(), expected)
    logs = model.evaluate(x[:20], labels[:20], return_dict=True, verbose=0, batch_size=7)
    assert logs["f1_macro"] == pytest.approx(history["val_f1_macro"][-1], abs=3e-7)
    assert logs["recall/b"] == pytest.approx(history["val_recall/b"][-1], abs=3e-7)


def test_padding_rows_of_weight_zero_do_not_count(blobs):
    x, labels = blobs
    metric = ConfusionMatrix(3)
    model = classifier(metric, weighted=True)
    plain = model.evaluate(x, labels, return_dict=True, verbose=0)
    matrix = metric.matrix()
    padded = model.evaluate(
        np.concatenate([x, np.zeros((5, 3))]),
        np.concatenate([labels, np.zeros(5)]),
        sample_weight=np.concatenate([np.ones(48), np.zeros(5)]),
        return_dict=True,
        verbose=0,
    )
    np.testing.assert_array_equal(metric.matrix(), matrix)
    assert padded["f1_macro"] == plain["f1_macro"]


def test_keras_gives_weights_to_weighted_metrics_alone(blobs):
    """The docstring says so; when Keras changes, it should."""
    x, labels = blobs
    metric = ConfusionMatrix(3)
    model = classifier(metric)
    model.evaluate(x, labels, sample_weight=np.zeros(48), verbose=0)
    assert metric.matrix().sum() == 48


def test_other_callbacks_can_monitor_it(blobs, tmp_path):
    x, labels = blobs
    model = classifier(ConfusionMatrix(3))
    path = tmp_path / "best.weights.h5"
    best = keras.callbacks.ModelCheckpoint(
        path, monitor="val_f1_macro", mode="max", save_best_only=True, save_weights_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_f1_macro", mode="max", min_delta=2.0)
    history = model.fit(
        x,
        labels,
        validation_data=(x, labels),
        epochs=5,
        verbose=0,
        callbacks=[best, stop],
    ).history["val_f1_macro"]
    assert len(history) == 2  # no F1 rises by 2, so the second epoch was the last
    assert best.best == max(history)
    model.load_weights(path)
    logs = model.evaluate(x, labels, return_dict=True, verbose=0)
    assert logs["f1_macro"] == pytest.approx(max(history))


def test_two_outputs_with_prefixes(blobs):
    x, labels = blobs
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(3, name=name)(inputs) for name in ("main", "aux")}
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    matrices = {name: ConfusionMatrix(3, prefix=f"{name}/") for name in outputs}
    model.compile("sgd", loss=dict.fromkeys(outputs, loss), metrics=matrices)
    logs = model.evaluate(x, dict.fromkeys(outputs, labels), return_dict=True, verbose=0)
    predicted = model.predict(x, verbose=0)
    for name in outputs:
        right = np.mean(np.argmax(predicted[name], axis=-1) == labels)
        assert logs[f"{name}/accuracy"] == pytest.approx(right)
