import keras
import numpy as np
import pytest

from kerakit.losses import MulticlassHinge
from kerakit.models.classification import linear_classifier
from kerakit.models.classification.linear import plot_templates, templates


def test_scores_and_parameters(rng):
    model = linear_classifier(input_shape=(3, 4, 2), num_classes=5, normalization=None)
    assert model.count_params() == (3 * 4 * 2 + 1) * 5
    weights, bias = rng.normal(size=(24, 5)), rng.normal(size=5)
    model.get_layer("scores").set_weights([weights, bias])
    images = rng.uniform(0, 255, (7, 3, 4, 2))
    expected = np.array([weights.T @ image.ravel() + bias for image in images])
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-2)


def stripes(rng, count):
    """Class 0 is bright on the left, class 1 on the right."""
    labels = rng.integers(0, 2, count)
    images = rng.uniform(0, 60, (count, 4, 6, 1))
    images[labels == 0, :, :3] += 150
    images[labels == 1, :, 3:] += 150
    return images.astype("float32"), labels


@pytest.mark.parametrize(
    "loss", [MulticlassHinge(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)]
)
def test_templates_show_what_was_learnt(loss, rng):
    images, labels = stripes(rng, 128)
    model = linear_classifier(input_shape=(4, 6, 1), num_classes=2)
    model.get_layer("scores").set_weights([np.zeros((24, 2)), np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    model.fit(images, labels, epochs=10, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] == 1.0
    left, right = templates(model)[..., 0]
    assert left[:, :3].min() > 127.5 > left[:, 3:].max()
    assert right[:, 3:].min() > 127.5 > right[:, :3].max()


def test_templates_use_the_whole_range():
    model = linear_classifier(input_shape=(1, 1, 2), num_classes=2, normalization=None)
    model.get_layer("scores").set_weights([np.array([[2.0, 0.0], [1.0, -1.0]]), np.zeros(2)])
    np.testing.assert_array_equal(templates(model), [[[[255.0, 191.25]]], [[[127.5, 63.75]]]])
    model.get_layer("scores").set_weights([np.zeros((2, 2)), np.zeros(2)])
    assert (templates(model) == 127.5).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_plot(channels):
    model = linear_classifier(input_shape=(4, 4, channels), num_classes=7)
    figure = plot_templates(model, "abcdefg")
    assert [axes.get_title() for axes in figure.axes] == list("abcdefg")
    shown = figure.axes[3].images[0].get_array()
    expected = templates(model)[3]
    scale = 1 if channels == 1 else 255
    np.testing.assert_allclose(np.reshape(shown, expected.shape) * scale, expected, rtol=1e-5)


def test_features_have_no_pictures():
    model = linear_classifier(input_shape=(9,), num_classes=2, normalization=None)
    with pytest.raises(ValueError, match=r"must be a linear classifier of images \(H, W, C\)"):
        templates(model)


def test_other_models_have_no_pictures():
    images = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(images))
    model = keras.Model(images, keras.layers.Dense(2, name="scores")(x))
    with pytest.raises(ValueError, match="a weight for each of the 16 pixels in its layer"):
        templates(model)


def test_another_number_of_names():
    with pytest.raises(ValueError, match="`classes` must be 2 names, one a class, got 3"):
        plot_templates(linear_classifier(input_shape=(4, 4, 1), num_classes=2), "abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"input_shape": (8, 8)}, r"`input_shape` must be \(H, W, C\) or \(D,\), got \(8, 8\)"),
        ({"input_shape": (8,)}, "`normalization` must be None for features, got 'image_max'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        linear_classifier(**options)
