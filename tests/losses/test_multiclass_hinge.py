import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.losses import MulticlassHinge
from kerakit.losses.multiclass_hinge import multiclass_hinge
from tests.conformance.case import compiled


def hinge_by_loop(labels, scores, margin):
    return np.array(
        [
            sum(max(0.0, s - row[y] + margin) for j, s in enumerate(row) if j != y)
            for y, row in zip(labels, scores, strict=True)
        ]
    )


@pytest.mark.parametrize("margin", [0.5, 3.0])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_equals_the_loop(margin, num_classes, rng):
    scores, labels = rng.normal(size=(17, num_classes)) * 3, rng.integers(0, num_classes, 17)
    expected = hinge_by_loop(labels, scores, margin)
    one_hot = np.eye(num_classes)[labels]
    with gradients.float64_scope():
        loss = MulticlassHinge(margin, reduction=None, dtype="float64")
        for given in (labels, labels[:, None], labels.astype("float32"), one_hot):
            np.testing.assert_allclose(loss(given, scores), expected, rtol=1e-13, atol=1e-14)
    single = MulticlassHinge(margin, reduction=None)
    np.testing.assert_allclose(single(labels, scores), expected, rtol=1e-5, atol=1e-5)


def test_a_label_a_pixel(rng):
    scores, labels = rng.normal(size=(2, 4, 3, 5)), rng.integers(0, 5, (2, 4, 3))
    expected = hinge_by_loop(labels.ravel(), scores.reshape(-1, 5), 1.0).reshape(2, 4, 3)
    loss = MulticlassHinge(reduction=None)
    for given in (labels, labels[..., None], np.eye(5)[labels]):
        np.testing.assert_allclose(loss(given, scores), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [2, 5])
def test_as_many_examples_as_classes_is_no_trap(size, rng):
    """Sparse (B,) and (B, 1) are told from one-hot by shape alone, also where B = K."""
    scores, labels = rng.normal(size=(size, size)), rng.integers(0, 2, size)
    expected = hinge_by_loop(labels, scores, 1.0)
    loss = MulticlassHinge(reduction=None)
    for given in (labels, labels[:, None], np.eye(size)[labels]):
        np.testing.assert_allclose(loss(given, scores), expected, rtol=1e-5, atol=1e-5)


def test_keras_categorical_hinge_is_another_loss():
    scores, one_hot = np.array([[-5.0, -3.0, -4.0]]), np.array([[0.0, 1.0, 0.0]])
    assert float(keras.losses.CategoricalHinge()(one_hot, scores)) == 4.0
    assert float(MulticlassHinge()(one_hot, scores)) == 0.0


def test_scores_may_all_move(rng):
    """Only differences of scores count."""
    scores, labels = rng.normal(size=(9, 4)), rng.integers(0, 4, 9)
    loss = MulticlassHinge()
    assert float(loss(labels, scores + 10)) == pytest.approx(float(loss(labels, scores)), rel=1e-5)


def test_gradient_by_hand():
    """Each wrong class inside the margin gets 1, the right one minus their number."""
    scores = np.array([[3.0, 5.0, -1.0, 2.5]], "float32")
    (slope,) = gradients.gradient(lambda s: MulticlassHinge()(np.array([0]), s), scores)
    np.testing.assert_array_equal(slope, [[-2.0, 1.0, 0.0, 1.0]])


def test_gradient_check(rng):
    scores, labels = rng.normal(size=(7, 5)) * 3, rng.integers(0, 5, 7)
    loss = MulticlassHinge(0.5, dtype="float64")
    gradients.check(loss, labels, scores).raise_if_failed()


def test_sample_weights_and_reductions(rng):
    scores, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    each = hinge_by_loop(labels, scores, 1.0)
    weights = np.array([1.0, 0.0, 2.0, 0.5])
    assert float(MulticlassHinge()(labels, scores, sample_weight=weights)) == pytest.approx(
        (each * weights).sum() / 4, rel=1e-5
    )
    assert float(MulticlassHinge(reduction="sum")(labels, scores)) == pytest.approx(
        each.sum(), rel=1e-5
    )


def test_half_precision_scores_are_summed_in_float32():
    """Scores of 40,000 fit float16, their differences and sums do not."""
    scores = np.array([[-40_000.0, 40_000.0, 40_000.0]], "float16")
    loss = MulticlassHinge()(np.array([0]), scores)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == 2 * (float(scores[0, 1]) - float(scores[0, 0]) + 1)


def test_trains_an_svm(rng):
    centres = np.array([[4.0, 0.0], [-4.0, 4.0], [-4.0, -4.0]])
    labels = rng.integers(0, 3, 120)
    x = (centres[labels] + rng.normal(size=(120, 2))).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.1), MulticlassHinge(), metrics=["accuracy"])
    model.fit(x, labels, epochs=20, verbose=0)
    loss, accuracy = model.evaluate(x, labels, verbose=0)
    assert accuracy > 0.97
    scores = model.predict(x, verbose=0)
    assert loss == pytest.approx(hinge_by_loop(labels, scores, 1.0).mean(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("label", [-2, 3])
def test_a_label_that_is_no_class_is_seen(label):
    losses = multiclass_hinge(ops.array([0, label]), ops.array([[2.0, 0.0, 0.0]] * 2))
    np.testing.assert_array_equal(losses, [0.0, np.nan])
    assert np.isnan(float(MulticlassHinge()(np.array([label]), np.zeros((1, 3)))))


def padded(labels, form):
    """Labels of 4 classes, of which -1 is padding, in one of the forms that are taken."""
    one_hot = np.where(labels[:, None] == -1, 0.0, np.eye(4)[labels])
    return {"sparse": labels, "column": labels[:, None], "one-hot": one_hot}[form]


@pytest.mark.parametrize("form", ["sparse", "column", "one-hot"])
@pytest.mark.parametrize("weight", [None, 0.0, 2.0])
def test_padding_costs_nothing(form, weight, rng):
    scores, labels = rng.normal(size=(5, 4)).astype("float32"), np.array([2, -1, 0, 3, -1])
    is_padding = labels == -1
    weights = None if weight is None else np.where(is_padding, weight, 1.0)
    expected = np.zeros(5)
    expected[~is_padding] = hinge_by_loop(labels[~is_padding], scores[~is_padding], 1.0)
    given = padded(labels, form)
    each = compiled(lambda s: MulticlassHinge(reduction=None)(given, s, sample_weight=weights))
    np.testing.assert_allclose(each(scores), expected, rtol=1e-5)
    mean = MulticlassHinge()(given, scores, sample_weight=weights)
    assert float(mean) == pytest.approx(expected.sum() / 5, rel=1e-5)
    (slope,) = gradients.gradient(
        lambda s: MulticlassHinge(reduction="sum")(given, s, sample_weight=weights), scores
    )
    slope = ops.convert_to_numpy(slope)
    np.testing.assert_array_equal(slope[is_padding], 0.0)
    assert np.isfinite(slope).all()
    assert np.abs(slope[~is_padding]).max() >= 1


@pytest.mark.parametrize("form", ["sparse", "one-hot"])
def test_padding_can_be_left_out_of_the_mean(form, rng):
    scores, labels = rng.normal(size=(5, 4)), np.array([2, -1, 0, 3, -1])
    loss = MulticlassHinge(reduction="mean_with_sample_weight")
    found = loss(padded(labels, form), scores, sample_weight=(labels != -1).astype("float32"))
    kept = labels != -1
    expected = hinge_by_loop(labels[kept], scores[kept], 1.0).mean()
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_config_round_trip():
    loss = MulticlassHinge(0.5, reduction="sum", name="svm", dtype="float64")
    config = loss.get_config()
    assert config == {"margin": 0.5, "reduction": "sum", "name": "svm", "dtype": "float64"}
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is MulticlassHinge
    assert copy.get_config() == config


@pytest.mark.parametrize("margin", [0, -1.0, float("nan"), float("inf")])
def test_margin_must_be_positive(margin):
    with pytest.raises(ValueError, match=f"`margin` must be positive and finite, got {margin}"):
        MulticlassHinge(margin)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_class_is_refused(shape):
    with pytest.raises(ValueError, match=r"`y_pred` must be scores \(..., K\) of at least 2"):
        MulticlassHinge()(np.zeros((4, 1)), np.zeros(shape))


@pytest.mark.parametrize("shape", [(), (5,), (4, 2), (5, 3), (3, 4), (4, 1, 1), (1, 4)])
def test_labels_that_do_not_fit_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"`y_true` must be labels .* for `y_pred` of shape \(4, 3"
    ):
        MulticlassHinge()(np.zeros(shape), np.zeros((4, 3)))
