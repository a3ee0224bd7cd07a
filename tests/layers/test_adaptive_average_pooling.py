import math

import keras
import numpy as np
import pytest

from kerakit.layers import AdaptiveAveragePooling2D
from kerakit.models.classification import alexnet, vgg11


def pooled(maps, size):
    """One mean after the other."""
    (h, w), (rows, columns) = maps.shape[1:3], size
    out = np.zeros((len(maps), rows, columns, maps.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            top, bottom = math.floor(i * h / rows), math.ceil((i + 1) * h / rows)
            left, right = math.floor(j * w / columns), math.ceil((j + 1) * w / columns)
            out[:, i, j] = maps[:, top:bottom, left:right].mean((1, 2))
    return out


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((7, 7), 7),
        ((14, 21), 7),
        ((9, 5), (4, 3)),
        ((2, 3), 7),
        ((1, 1), (2, 5)),
        ((10, 2), (3, 4)),
    ],
)
def test_is_the_mean_of_each_window(shape, size):
    maps = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    layer = AdaptiveAveragePooling2D(size)
    outputs = keras.ops.convert_to_numpy(layer(maps))
    expected = pooled(maps, layer.output_size)
    assert outputs.shape == layer.compute_output_shape(maps.shape) == expected.shape
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-6)


def test_unknown_sizes_are_refused():
    with pytest.raises(ValueError, match="known size, got shape"):
        AdaptiveAveragePooling2D(2)(keras.Input((None, 4, 3)))


@pytest.mark.parametrize("net", [vgg11, alexnet])
def test_classifiers_answer_with_numbers_on_small_images(net):
    """Maps smaller than what they are pooled to."""
    model = net(input_shape=(64, 96, 3), num_classes=4, width=0.0625)
    answers = model(np.full((1, 64, 96, 3), 90, "float32"))
    assert np.isfinite(keras.ops.convert_to_numpy(answers)).all()
