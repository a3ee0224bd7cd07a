import keras
import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.models.classification.keras_application import keras_application

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """VGG16 without its top, and the file of its weights."""
    keras.utils.set_random_seed(1)
    network = keras.applications.VGG16(
        include_top=False, weights=None, pooling="avg", input_shape=SHAPE
    )
    path = tmp_path_factory.mktemp("weights") / "body.weights.h5"
    network.save_weights(path)
    return network, path


def test_it_is_the_application_after_its_own_preprocessing(trained, tmp_path, rng):
    network, path = trained
    model = keras_application("VGG16", input_shape=SHAPE, num_classes=3, weights=str(path))
    images = rng.integers(0, 256, (2, *SHAPE)).astype("float32")
    prepared = keras.applications.vgg16.preprocess_input(images.copy())
    features = network.predict(prepared, verbose=0)
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)
    expected = features @ kernel
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), found, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)  # one flat network


def test_what_cannot_be_had_is_named(tmp_path):
    options = {"input_shape": SHAPE, "num_classes": 3}
    with pytest.raises(InputError, match="keras.applications has no LeNet; it has .*MobileNetV2"):
        keras_application("LeNet", **options)
    with pytest.raises(InputError, match="MobileNetV2 with the weights 'absent.weights.h5'"):
        keras_application("MobileNetV2", weights="absent.weights.h5", **options)
