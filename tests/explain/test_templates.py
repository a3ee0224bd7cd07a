import keras
import numpy as np
import pytest
from keras import ops

from kerakit.explain.templates import templates
from kerakit.models.classification import resnet18
from kerakit.models.classification.linear import linear_classifier
from kerakit.models.classification.linear import templates as pictures_of


def scores_by_loop(found, images):
    scores = np.tile(found.bias.astype("float64"), (len(images), 1))
    for example, image in enumerate(images):
        for k, weights in enumerate(found.weights):
            scores[example, k] += float((weights.astype("float64") * image).sum())
    return scores


def with_weights(model, rng):
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("channels", [1, 3])
def test_a_score_is_the_product_with_the_template(channels, rng):
    model = linear_classifier(input_shape=(5, 7, channels), num_classes=4, normalization=None)
    found = templates(with_weights(model, rng))
    images = rng.uniform(0, 255, (3, 5, 7, channels)).astype("float32")
    expected = scores_by_loop(found, images)
    scores = ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize("normalization", ["image_max", "imagenet"])
def test_of_what_enters_the_dense_layer(normalization, rng):
    model = linear_classifier(input_shape=(5, 7, 3), num_classes=4, normalization=normalization)
    found = templates(with_weights(model, rng))
    images = rng.integers(0, 256, (3, 5, 7, 3)).astype("float32")
    if normalization == "image_max":
        entering = images / images.max(axis=(1, 2, 3), keepdims=True)
    else:
        entering = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    scores = ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(scores, scores_by_loop(found, entering), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.values * 255, pictures_of(model), atol=1e-3)


def test_a_users_own(rng):
    normalization = keras.layers.Normalization()
    normalization.adapt(rng.uniform(0, 255, (20, 4, 6, 1)).astype("float32"))
    model = keras.Sequential(
        [
            keras.Input((4, 6, 1)),
            normalization,
            keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)]),
            keras.layers.Softmax(),
        ]
    )
    found = templates(model)
    assert found.bias.tolist() == [0, 0, 0]
    images = rng.uniform(0, 255, (5, 4, 6, 1)).astype("float32")
    scores = scores_by_loop(found, ops.convert_to_numpy(normalization(images)))
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(model(images)), expected, rtol=1e-4)


def test_errors():
    with pytest.raises(
        ValueError, match=r"with weights are conv1 \(PaddedConv2D\), bn1 .* more. Of a network with"
    ):
        templates(resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25))
    features = keras.Sequential([keras.Input((9,)), keras.layers.Dense(2, name="scores")])
    with pytest.raises(ValueError, match=r"in scores, got 9 for inputs \(9,\)"):
        templates(features)
    layers = [keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(2, name="d")]
    with pytest.raises(ValueError, match=r"in d, got 12 for inputs \(4, 4, 3\)"):
        templates(keras.Sequential([keras.Input((4, 4, 3)), *layers]))
    with pytest.raises(ValueError, match="with weights are none"):
        templates(keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()]))
    found = templates(linear_classifier(input_shape=(4, 4, 1), num_classes=2))
    with pytest.raises(ValueError, match="`classes` must be 2 names, one a class, got 3"):
        found.plot(classes="abc")


def test_plot_draws_the_values(tmp_path, rng):
    model = with_weights(linear_classifier(input_shape=(4, 5, 1), num_classes=7), rng)
    found = templates(model)
    figure = found.plot(tmp_path / "templates.png", classes="abcdefg", most=6)
    assert (tmp_path / "templates.png").stat().st_size > 1000
    drawn = np.stack([axes.images[0].get_array() for axes in figure.axes])
    np.testing.assert_allclose(drawn, found.values[:6, ..., 0], atol=1e-6)
    assert [axes.get_title() for axes in figure.axes] == list("abcdef")
    largest = np.unravel_index(np.abs(found.weights).argmax(), found.weights.shape)
    assert found.values[largest] in (0.0, 1.0)
