import keras
import numpy as np
import pytest
from keras import ops

from kerakit.explain.feature_maps import feature_maps
from kerakit.models.classification import resnet18, vit_ti_16
from kerakit.models.detection import fasterrcnn_resnet50_fpn
from kerakit.models.video import c3d


class Own(keras.Model):
    """A subclassed model with a model in it, whose convolution is called twice."""

    def __init__(self):
        super().__init__()
        self.stem = keras.Sequential(
            [keras.layers.Conv2D(3, 3, padding="same", name="inner"), keras.layers.ReLU()]
        )
        self.unused = keras.layers.Activation("relu", name="unused")
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")

    def call(self, images):
        return self.pool(self.stem(self.stem(images)))


def test_the_last_call_of_a_layer_inside_another(rng):
    model = Own()
    images = rng.uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    model(images)
    found = feature_maps(model, images)
    inner = model.stem.layers[0]
    once = np.maximum(ops.convert_to_numpy(inner(images)), 0)
    twice = ops.convert_to_numpy(inner(once))
    assert found.layer == "inner"
    np.testing.assert_allclose(found.values, twice, rtol=1e-4, atol=1e-2)
    with pytest.raises(
        ValueError, match="`layer` 'unused' is not called by own.*; there are inner, re_lu.*"
    ):
        feature_maps(model, images, layer="unused")
    with pytest.raises(
        ValueError, match=r"must give maps .* and 'pool' gives \(2, 3\); there are inner"
    ):
        feature_maps(model, images, layer=model.pool)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_is_the_output_of_a_model_cut_there(precision, rng):
    keras.config.set_dtype_policy(precision)
    try:
        model = resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25)
    finally:
        keras.config.set_dtype_policy("float32")
    images = rng.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    found = feature_maps(model, images, layer="layer2_0_relu")
    cut = keras.Model(model.input, model.get_layer("layer2_0_relu").output)
    expected = ops.convert_to_numpy(ops.cast(cut(images.astype("float32")), "float32"))
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-5)
    assert len(model.get_layer("layer2_0_relu")._inbound_nodes) == 1  # the model is as before


def test_a_layer_that_is_not_there_is_told_with_those_that_are():
    model = resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25)
    images = np.zeros((1, 32, 32, 3))
    wanted = r"of resnet18 \(layer2_1_conv1, layer2_0_conv1, .* and \d+ more\), got 'layer2_conv1'"
    with pytest.raises(ValueError, match=wanted):
        feature_maps(model, images, layer="layer2_conv1")
    tokens = vit_ti_16(input_shape=(32, 32, 3), num_classes=2, depth=1, width=0.4, patch_size=8)
    with pytest.raises(ValueError, match=r"and 'encoder_ln' gives \(1, 17, 64\)"):
        feature_maps(tokens, images, layer="encoder_ln")


@pytest.mark.slow
def test_of_a_detector(rng):
    model = fasterrcnn_resnet50_fpn(input_shape=(64, 64, 3), num_classes=2, width=0.125)
    found = feature_maps(model, rng.uniform(0, 255, (1, 64, 64, 3)))
    assert found.values.shape == (1, 32, 32, 8)


def test_plot_scales_each_map(tmp_path, rng):
    model = keras.Sequential([keras.Input((6, 8, 1)), keras.layers.Conv2D(5, 3, name="one")])
    images = rng.uniform(0, 255, (2, 6, 8, 1))
    found = feature_maps(model, images)
    figure = found.plot(tmp_path / "maps.png", example=1, most=4)
    assert (tmp_path / "maps.png").stat().st_size > 1000
    image, *maps = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    np.testing.assert_allclose(image[..., 0], images[1, ..., 0] / 255, atol=1e-6)
    assert len(maps) == 4
    for k, drawn in enumerate(maps):
        values = found.values[1, ..., k]
        np.testing.assert_allclose(drawn, (values - values.min()) / np.ptp(values), atol=1e-6)
    with pytest.raises(ValueError, match=r"`example` must be in \[0, 2\), got 2"):
        found.plot(example=2)
    with pytest.raises(ValueError, match="`frame` is for clips, got 0 for images"):
        found.plot(frame=0)


def test_plot_of_clips_takes_a_frame(rng):
    model = c3d(input_shape=(16, 112, 112, 3), num_classes=2, width=0.1)
    images = rng.uniform(0, 255, (1, 16, 112, 112, 3)).astype("float32")
    found = feature_maps(model, images, layer="pool2")
    frames = found.values.shape[1]
    assert frames == 8
    figure = found.plot(frame=3, most=1)
    image, drawn = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    np.testing.assert_allclose(image, images[0, 7] / 255, atol=1e-5)
    values = found.values[0, 3, ..., 0]
    np.testing.assert_allclose(drawn, (values - values.min()) / np.ptp(values), atol=1e-5)
    with pytest.raises(ValueError, match=r"`frame` must be in \[0, 8\), got 8"):
        found.plot(frame=8)
