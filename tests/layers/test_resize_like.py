import keras
import pytest
from keras import ops

from kerakit.layers import ResizeLike


def test_any_size_in_one_model(rng):
    images = keras.Input((None, None, 3))
    maps = keras.layers.AveragePooling2D(8, padding="same")(images)
    outputs = ResizeLike()([maps, images])
    assert outputs.shape == (None, None, None, 3)
    model = keras.Model(images, outputs)
    for size in ((9, 17), (16, 8)):
        assert model.predict(rng.normal(size=(2, *size, 3)), verbose=0).shape == (2, *size, 3)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`inputs` must be .* got shapes \[\(1, 2, 3\)"):
        ResizeLike()([ops.ones((1, 2, 3)), ops.ones((1, 4, 4, 1))])
