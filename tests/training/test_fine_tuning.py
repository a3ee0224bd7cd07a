import keras
import numpy as np
import pytest

from kerakit.models.classification import mobilenet_v2
from kerakit.training import freeze_batch_normalization, layer_depths


def small():
    return mobilenet_v2(input_shape=(32, 32, 3), num_classes=3, width=0.125)


def test_depths_fall_evenly_from_the_pixels_to_the_answer():
    model = small()
    depths = layer_depths(model)
    assert set(depths) == {v.path for v in model.trainable_variables}
    assert depths["features_0_0/kernel"] == 1.0
    assert depths["classifier_1/kernel"] == depths["classifier_1/bias"] == 0.0
    # 52 convolutions, 52 normalisations and a dense layer: 105, 104 steps apart.
    assert depths["features_0_1/gamma"] == 1 - 1 / 104
    assert depths["features_18_1/beta"] == pytest.approx(1 / 104)


def test_frozen_statistics_stay_and_normalise_in_training(rng):
    model = small()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape) * 0.1)
    assert freeze_batch_normalization(model) == 52
    body = keras.Model(model.input, model.get_layer("avgpool").output)  # before dropout
    images = rng.uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        body(images, training=True), body(images, training=False), rtol=1e-5, atol=1e-6
    )
    before = {v.path: v.numpy() for v in model.variables}
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(images, np.array([0, 1, 2, 0]))
    still = {p for p, value in before.items() if np.array_equal(value, _value(model, p))}
    of_norms = {
        v.path
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for v in layer.variables
    }
    assert of_norms <= still
    assert "features_18_0/kernel" not in still


def _value(model, path):
    return next(v.numpy() for v in model.variables if v.path == path)
