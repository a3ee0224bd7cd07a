import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from kerakit import cost
from kerakit.models.segmentation import segnet


def test_published_figures():
    """Paszke et al., ENet, 2016, Table 2: 29.46 million parameters; 286.03 GFLOPs at 640 x 360."""
    with keras.StatelessScope(initialize_variables=False):  # without values
        report = cost.report(segnet(input_shape=(360, 640, 3), num_classes=20))
    assert report.trainable_parameters / 1e6 == pytest.approx(29.46, abs=0.01)
    # They count the places that poolings leave out, too, and do not say how many classes.
    assert 2 * report.macs / 1e9 == pytest.approx(286.03, rel=5e-3)
    keras.backend.clear_session()


def test_unpooled_values_stand_where_the_encoder_had_its_maxima(rng):
    model = segnet(input_shape=(71, 45, 3), num_classes=2, width=0.0625)
    pairs = [(f"up{level}_unpool", position) for level, position in enumerate((5, 12, 22, 32, 42))]
    outputs = [model.get_layer(name).output for name, _ in pairs]
    wholes = [model.get_layer(f"features_{position}").output for _, position in pairs]
    images = rng.uniform(0, 255, (1, 71, 45, 3)).astype("float32")
    outputs, wholes = keras.Model(model.input, [outputs, wholes]).predict(images, verbose=0)
    for unpooled, whole in zip(outputs, wholes, strict=True):
        assert unpooled.shape[1:3] == whole.shape[1:3]  # odd sizes too
        for i, j, c in np.argwhere(unpooled[0] != 0):
            window = whole[0, i // 2 * 2 : i // 2 * 2 + 2, j // 2 * 2 : j // 2 * 2 + 2, c]
            assert whole[0, i, j, c] == window.max()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="shapes are static on JAX")
def test_any_size_in_one_model(rng):
    free = segnet(input_shape=(None, None, 3), num_classes=3, width=0.03125)
    for size in ((45, 70), (64, 32)):
        images = rng.uniform(0, 255, (1, *size, 3)).astype("float32")
        fixed = segnet(input_shape=(*size, 3), num_classes=3, width=0.03125)
        fixed.set_weights(free.get_weights())
        np.testing.assert_allclose(numpy(free(images)), numpy(fixed(images)), atol=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`width` must be positive, got -1"):
        segnet(width=-1)
