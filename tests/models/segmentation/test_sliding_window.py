import keras
import numpy as np
import pytest
from keras import layers

from kerakit import cost
from kerakit.layers import PaddedConv2D
from kerakit.models.segmentation import as_convolution, sliding_window
from tests.reference.patch_classifier import patch_classifier


def moved_off_zero(model, rng):
    """Biases, offsets and statistics that are not 0 and 1."""
    for layer in model.layers:
        weights = layer.get_weights()
        layer.set_weights(
            [w + rng.uniform(0.1, 0.5, w.shape) if w.ndim == 1 else w for w in weights]
        )
    return model


def pooled_classifier():
    images = keras.Input((10, 9, 3))
    x = layers.Rescaling(1 / 255)(images)
    one = layers.Conv2D(6, 3, strides=2, activation="relu")(x)
    other = layers.AveragePooling2D(3, 2)(x)
    x = layers.Concatenate()([one, other])
    x = layers.DepthwiseConv2D(2)(x)
    x = layers.Add()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dense(8)(x)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.Dropout(0.5)(layers.Activation("relu")(x))
    return keras.Model(images, layers.Dense(4, activation="softmax")(x))


def sequential_classifier():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.SeparableConv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(5, 3),
            layers.Flatten(),
            layers.Dense(3, use_bias=False),
        ]
    )


CLASSIFIERS = {
    "flattened": (patch_classifier, 2),
    "channels_first": (lambda: patch_classifier(channels_first=True), 2),
    "pooled": (pooled_classifier, 2),
    "sequential": (sequential_classifier, 2),
}


@pytest.fixture(params=CLASSIFIERS)
def built(request, rng):
    build, stride = CLASSIFIERS[request.param]
    return moved_off_zero(build(), rng), stride


def test_scores_are_those_of_patches_cut_out(built, rng):
    classifier, stride = built
    images = rng.uniform(0, 255, (2, 21, 18, 3)).astype("float32")
    model = sliding_window(classifier, input_shape=images.shape[1:], strides=(stride, 3))
    scores = model.predict(images, verbose=0)
    height, width = classifier.input_shape[1:3]
    starts = range(0, 21 - height + 1, stride), range(0, 18 - width + 1, 3)
    assert scores.shape[1:3] == tuple(map(len, starts))
    patches = [
        images[:, top : top + height, left : left + width]
        for top in starts[0]
        for left in starts[1]
    ]
    expected = np.stack([classifier.predict_on_batch(p) for p in patches], 1)
    np.testing.assert_allclose(scores, expected.reshape(scores.shape), atol=1e-5)
    in_one_batch = model(images, training=True)  # other statistics, the same windows
    assert tuple(in_one_batch.shape) == scores.shape


def test_the_convolution_has_the_windows_scores(built, rng):
    classifier, stride = built
    images = rng.uniform(0, 255, (2, 27, 24, 3)).astype("float32")
    shape = images.shape[1:]
    windows = sliding_window(classifier, input_shape=shape, strides=stride)
    expected = windows.predict(images, verbose=0)
    model = as_convolution(classifier, input_shape=shape)
    scores = model.predict(images, verbose=0)[:, : expected.shape[1], : expected.shape[2]]
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(scores, expected, atol=1e-4 * np.abs(expected).max())
    names = {layer.name for layer in classifier.layers if layer.weights}
    assert {layer.name for layer in model.layers if layer.weights} == names
    few, many = cost.report(model).macs, cost.report(windows).macs
    assert many > 2 * few


def test_any_size_in_one_model(rng):
    classifier = patch_classifier()
    model = as_convolution(classifier)
    assert model.output_shape == (None, None, None, 5)
    for size in ((11, 12), (30, 25)):
        images = rng.uniform(0, 255, (1, *size, 3)).astype("float32")
        windows = sliding_window(classifier, input_shape=(*size, 3), strides=2)
        expected = windows.predict(images, verbose=0)
        found = keras.ops.convert_to_numpy(model(images))
        found = found[:, : expected.shape[1], : expected.shape[2]]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_cost_of_the_windows_is_that_of_as_many_patches():
    classifier = patch_classifier()
    report = cost.report(sliding_window(classifier, input_shape=(31, 26, 3), strides=(2, 7)))
    one = cost.report(classifier)
    assert report.macs == 11 * 3 * one.macs
    assert report.parameters == one.parameters
    assert report.receptive_field == (11, 12)
    assert not report.uncounted


def test_the_classifier_stays_as_it_was():
    classifier = patch_classifier()
    before = classifier.get_weights()
    model = sliding_window(classifier, input_shape=(13, 12, 3))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(np.ones((2, 13, 12, 3)), np.zeros((2, 3, 1), int))
    for old, new in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def of(*stack, patch=(8, 8, 3)):
    return keras.Sequential([keras.Input(patch), *stack, layers.Flatten(), layers.Dense(2)])


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (
            lambda: of(layers.Conv2D(2, 3, padding="same", name="one")),
            r"one \(Conv2D\) has padding",
        ),
        (
            lambda: of(PaddedConv2D(2, 3, padding=None, name="two")),
            r"two \(PaddedConv2D\) has padding",
        ),
        (lambda: of(layers.MaxPooling2D(3, padding="same", name="p")), r"p \(MaxPooling2D\) has"),
        (lambda: of(layers.ZeroPadding2D(1, name="z")), r"z \(ZeroPadding2D\) looks at more than"),
        (lambda: of(layers.LayerNormalization(axis=(1, 2), name="n")), r"n \(LayerNorm.* looks"),
        (lambda: of(layers.Softmax(axis=1, name="s")), r"s \(Softmax\) works along axis 1"),
        (lambda: of(layers.Permute((2, 1, 3), name="t")), r"t \(Permute\)"),
        (
            lambda: keras.Sequential(
                [
                    keras.Input((4, 4, 1)),
                    layers.Flatten(),
                    layers.Softmax(name="s"),
                    layers.Dense(2),
                ]
            ),
            r"s \(Softmax\) looks at more than a window",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten()]),
            "must end in one score a class",
        ),
        (
            lambda: keras.Sequential([keras.Input((None, 4, 1)), layers.GlobalMaxPooling2D()]),
            r"must be a built model from \(B, h, w, C\) patches",
        ),
    ],
)
def test_what_cannot_be_converted_is_named(classifier, message):
    with pytest.raises(ValueError, match=message):
        as_convolution(classifier())


def test_layers_called_twice_and_functions_between_are_named():
    images = keras.Input((6, 6, 2))
    shared = layers.Conv2D(2, 1, name="twice")
    flat = layers.Flatten()(shared(shared(images)))
    with pytest.raises(ValueError, match=r"twice \(Conv2D\) is called more than once"):
        as_convolution(keras.Model(images, layers.Dense(2)(flat)))
    flat = layers.Flatten()(keras.ops.roll(images, 1))
    with pytest.raises(ValueError, match="is a function between the layers"):
        as_convolution(keras.Model(images, layers.Dense(2)(flat)))


def test_an_image_is_at_least_a_patch():
    with pytest.raises(ValueError, match=r"at least a patch of \(11, 12\), got \(11, 10\)"):
        sliding_window(patch_classifier(), input_shape=(11, 10, 3))
