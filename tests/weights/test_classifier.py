import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from kerakit import weights
from kerakit.errors import InputError
from kerakit.models import classification, segmentation

WIDTH = 0.03125


@pytest.fixture(scope="module")
def classifier():
    return classification.vgg16(num_classes=7, width=WIDTH)


def checkpoint(model):
    """A model's weights as torchvision would have them."""
    arrays = {}
    for layer in model.layers:
        name = ".".join(layer.name.rsplit("_", 1))
        for variable, value in zip(layer.weights, layer.get_weights(), strict=True):
            if variable.name == "kernel":
                value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            kind = "weight" if variable.name == "kernel" else "bias"
            arrays[f"{name}.{kind}"] = value
    return arrays


@pytest.mark.parametrize("kind", ["model", "keras file", "checkpoint"])
def test_fcn_has_the_classifiers_features_at_its_centre(kind, classifier, tmp_path, rng):
    source = classifier
    if kind == "keras file":
        source = tmp_path / "vgg16.keras"
        classifier.save(source)
    elif kind == "checkpoint":
        source = checkpoint(classifier)
    model = segmentation.fcn32s(num_classes=3, width=WIDTH)
    loaded = weights.load_classifier(model, source)
    assert len(loaded) == 15  # all but the last
    images = rng.uniform(0, 255, (2, 224, 224, 3)).astype("float32")
    for name in ("classifier_0", "classifier_3"):
        ours, theirs = (
            keras.Model(m.input, m.get_layer(name).output).predict(images, verbose=0)
            for m in (model, classifier)
        )
        # At the centre of 7 x 7 the convolution's window is the whole map.
        largest = np.abs(theirs).max()
        assert largest > 0.01
        np.testing.assert_allclose(ours[:, 3, 3], theirs, atol=1e-5 * largest)


def test_segnet_has_the_encoder_of_vgg16_bn():
    source = classification.vgg16_bn(num_classes=7, width=WIDTH)
    model = segmentation.segnet(num_classes=3, width=WIDTH)
    loaded = weights.load_classifier(model, source)
    assert len(loaded) == 26
    for name in loaded:
        pairs = zip(
            model.get_layer(name).get_weights(), source.get_layer(name).get_weights(), strict=True
        )
        assert all(np.array_equal(one, other) for one, other in pairs)


def test_dense_layers_behind_keras_flatten():
    patches, images = keras.Input((2, 3, 4)), keras.Input((2, 3, 4))
    dense = keras.layers.Dense(5, name="fc")(keras.layers.Flatten()(patches))
    source = keras.Model(patches, dense)
    model = keras.Model(images, keras.layers.Conv2D(5, (2, 3), name="fc")(images))
    weights.load_classifier(model, source)
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype("float32")
    np.testing.assert_allclose(numpy(model(x))[:, 0, 0], numpy(source(x)), rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_named_and_changes_nothing(classifier):
    model = segmentation.segnet(width=WIDTH)
    before = model.get_weights()
    with pytest.raises(InputError, match=r"does not fit segnet: .*features_2 is left over"):
        weights.load_classifier(model, classifier)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    other = classification.vgg16(num_classes=7, width=2 * WIDTH)
    with pytest.raises(InputError, match=r"features_0 is \(3, 3, 3, 4\), not \(3, 3, 3, 2\)"):
        weights.load_classifier(segmentation.fcn8s(width=WIDTH), other)
    with pytest.raises(InputError, match="no layer of it has a name of the model's"):
        weights.load_classifier(model, {"fc.weight": np.zeros((2, 3))})
