import keras
import numpy as np
import pytest

from kerakit import explain
from kerakit.errors import InputError
from kerakit.models.classification import linear_classifier, resnet18, vit_ti_16
from kerakit.runs.explanation import draw_explanation, explanation_of


def test_the_explanation_that_suits_a_network():
    resnet = resnet18(input_shape=(32, 32, 3), num_classes=3, width=0.125)
    assert explanation_of(resnet) is explain.grad_cam
    vit = vit_ti_16(input_shape=(16, 16, 3), patch_size=8, depth=1, width=0.4, num_classes=3)
    assert explanation_of(vit) is explain.attention_rollout
    with pytest.raises(InputError, match="--explain needs .* and linear_classifier has neither"):
        explanation_of(linear_classifier(input_shape=(8, 8, 1), num_classes=3))


def test_all_images_are_drawn_under_their_heat_map(tmp_path, rng):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    images = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    path = tmp_path / "heat_maps.png"
    draw_explanation(explain.grad_cam, model, images, classes=["a", "b"], path=path)
    assert path.stat().st_size > 5000
