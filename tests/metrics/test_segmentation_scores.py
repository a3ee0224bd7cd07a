"""SegmentationScores against scikit-learn's confusion matrix, to the last digit."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from kerakit.losses import PixelCrossEntropy
from kerakit.metrics import SegmentationScores
from tests.conformance.case import compiled


def by_scikit_learn(truth, predicted, num_classes):
    """Figures by a loop over classes, from scikit-learn's matrix of the valid pixels."""
    valid = truth != 255
    matrix = sklearn_metrics.confusion_matrix(
        truth[valid], predicted[valid], labels=range(num_classes)
    )
    iou, dice, recall, frequency = {}, {}, [], 0.0
    for k in range(num_classes):
        right, true, found = matrix[k, k], matrix[k].sum(), matrix[:, k].sum()
        if true + found:
            iou[k], dice[k] = right / (true + found - right), 2 * right / (true + found)
            frequency += true * iou[k]
        if true:
            recall.append(right / true)
    return {
        "mean_iou": np.mean(list(iou.values())),
        "pixel_accuracy": np.trace(matrix) / matrix.sum(),
        "mean_accuracy": np.mean(recall),
        "frequency_weighted_iou": frequency / matrix.sum(),
        "mean_dice": np.mean(list(dice.values())),
        **{f"iou/{k}": iou.get(k, np.nan) for k in range(num_classes)},
        **{f"dice/{k}": dice.get(k, np.nan) for k in range(num_classes)},
    }


@pytest.fixture
def scene(rng):
    """Of 6 classes: 4 is predicted and never true, 5 is nowhere."""
    truth = rng.choice([0, 1, 2, 3, 255], (6, 9, 7), p=[0.5, 0.2, 0.1, 0.1, 0.1]).astype("uint8")
    predicted = np.where(rng.uniform(size=truth.shape) < 0.7, truth % 255, rng.integers(0, 5))
    predicted[0, 0, :3] = 4
    return truth, predicted


def assert_equal(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert float(found[key]) == pytest.approx(value, abs=tolerance, rel=0, nan_ok=True), key


def test_equals_scikit_learn(scene):
    truth, predicted = scene
    expected = by_scikit_learn(truth, predicted, 6)
    assert np.isnan(expected["iou/5"])
    assert expected["iou/4"] == 0
    metric = SegmentationScores(6, per_class=True)
    for part in np.split(np.arange(6), 3):
        metric.update_state(truth[part], np.eye(6)[predicted[part]])
    assert_equal(metric.figures(), expected, 1e-15)
    assert_equal(metric.result(), expected, 3e-7)
    ids = SegmentationScores(6, per_class=True, from_scores=False)
    ids.update_state(truth, predicted)
    assert_equal(ids.figures(), expected, 1e-15)


def test_scikit_learns_own_jaccard_and_f1(scene):
    truth, predicted = scene
    metric = SegmentationScores(6, from_scores=False)
    metric.update_state(truth, predicted)
    valid = truth != 255
    of = {"y_true": truth[valid], "y_pred": predicted[valid], "average": "macro"}
    # Their labels are those that occur, as here.
    figures = metric.figures()
    assert figures["mean_iou"] == pytest.approx(sklearn_metrics.jaccard_score(**of), abs=1e-15)
    assert figures["mean_dice"] == pytest.approx(sklearn_metrics.f1_score(**of), abs=1e-15)


def test_merged_parts_are_the_whole(scene):
    truth, predicted = scene
    parts = [SegmentationScores(6, from_scores=False, per_class=True) for _ in range(3)]
    for part, rows in zip(parts, np.split(np.arange(6), 3), strict=True):
        part.update_state(truth[rows], predicted[rows])
    parts[0].merge_state(parts[1:])
    assert_equal(parts[0].figures(), by_scikit_learn(truth, predicted, 6), 1e-15)


def test_under_xla(scene):
    truth, predicted = scene
    metric = SegmentationScores(6, from_scores=False, per_class=True)
    state = [variable.value for variable in metric.variables]
    update = compiled(lambda t, p: metric.stateless_update_state(state, t, p))
    result = metric.stateless_result(update(truth, predicted))
    assert_equal(result, by_scikit_learn(truth, predicted, 6), 3e-7)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas of tf.distribute")
def test_two_replicas_give_the_figures_of_one(scene):
    import tensorflow as tf

    truth, predicted = scene
    scores = np.eye(6, dtype="float32")[predicted]
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = keras.Sequential([keras.Input((9, 7, 6)), keras.layers.Activation("linear")])
        scores_of = SegmentationScores(6, per_class=True)
        model.compile(loss=PixelCrossEntropy(), metrics=[scores_of], jit_compile=False)
    # The last batch is of two: an image each.
    figures = model.evaluate(scores, truth, batch_size=4, verbose=0, return_dict=True)
    each = PixelCrossEntropy(reduction="mean")(truth, scores)
    assert figures.pop("loss") == pytest.approx(float(each), rel=1e-6)
    assert_equal(figures, by_scikit_learn(truth, predicted, 6), 3e-7)


def test_nothing_but_ignore():
    metric = SegmentationScores(2, per_class=True, classes=["a", "b"], prefix="test_")
    metric.update_state(np.full((1, 2, 2), 255), np.zeros((1, 2, 2, 2)))
    figures = metric.figures()
    assert np.isnan([figures.pop(f"test_{key}/{k}") for key in ("iou", "dice") for k in "ab"]).all()
    assert set(figures.values()) == {0.0}
    assert len(figures) == 5


@pytest.mark.filterwarnings("ignore:You are passing weight as `float`")  # so it does say
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # int64, on JAX
def test_weights_below_1_count_where_keras_rounds_them_to_0():
    metric, theirs = SegmentationScores(2, from_scores=False), keras.metrics.MeanIoU(2)
    for one in (metric, theirs):
        one.update_state(np.array([0, 1]), np.array([0, 1]), np.array([0.5, 0.5]))
    assert metric.matrix().tolist() == [[0.5, 0], [0, 0.5]]
    assert metric.figures()["mean_iou"] == 1
    assert float(theirs.result()) == 0


def test_config_round_trip_and_names():
    metric = SegmentationScores(2, classes=["a", "b"], per_class=True, prefix="p_", name="n")
    config = metric.get_config()
    assert {key: config[key] for key in ("classes", "per_class", "prefix", "name")} == {
        "classes": ["a", "b"],
        "per_class": True,
        "prefix": "p_",
        "name": "n",
    }
    assert SegmentationScores.from_config(config).get_config() == config
    assert "averages" not in config


def test_256_classes_leave_no_room_for_ignore():
    with pytest.raises(ValueError, match="`num_classes` must be at most 255, .* got 256"):
        SegmentationScores(256)
