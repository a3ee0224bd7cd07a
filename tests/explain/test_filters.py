import keras
import numpy as np
import pytest

from kerakit import layers as parts
from kerakit.explain.filters import filters
from kerakit.models.classification import resnet18, vit_ti_16
from kerakit.models.video import c3d


def by_loop(weights):
    """Each filter (h, w, C) about 0.5, by its own largest weight."""
    largest = max((abs(float(w)) for w in weights.ravel()), default=0.0)
    scaled = [0.5 + float(w) / (2 * largest) if largest else 0.5 for w in weights.ravel()]
    return np.array(scaled).reshape(weights.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_filter_is_scaled_about_zero(channels, rng):
    layer = keras.layers.Conv2D(5, (3, 4), name="first")
    model = keras.Sequential(
        [keras.Input((8, 8, channels)), layer, keras.layers.Conv2D(2, 3, name="second")]
    )
    kernel = rng.normal(size=(3, 4, channels, 5)).astype("float32")
    kernel[..., 2] = 0.0
    layer.set_weights([kernel, np.ones(5)])
    found = filters(model)
    assert found.layer == "first"
    for k in range(5):
        np.testing.assert_array_equal(found.weights[k], kernel[..., k])
        np.testing.assert_allclose(found.values[k], by_loop(kernel[..., k]), atol=1e-6)
    assert (found.values[2] == 0.5).all()


def test_other_channels_are_pictures_of_their_own(rng):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Conv2D(4, 3, name="deep")]
    )
    kernel = rng.normal(size=(3, 3, 2, 4))
    model.get_layer("deep").kernel.assign(kernel)
    found = filters(model, layer="deep")
    assert len(found.values) == 8
    np.testing.assert_allclose(found.weights[2 * 3 + 1][..., 0], kernel[:, :, 1, 3], rtol=1e-6)
    same = filters(model, layer=model.get_layer("deep"))
    np.testing.assert_array_equal(same.values, found.values)


def test_a_depthwise_layer_has_a_picture_a_channel(rng):
    layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    kernel = rng.normal(size=(3, 3, 3, 2))
    layer.set_weights([kernel])
    found = filters(model)
    assert found.values.shape == (6, 3, 3, 1)
    np.testing.assert_allclose(found.weights[1 * 3 + 2][..., 0], kernel[:, :, 2, 1], rtol=1e-6)


def test_of_clips_the_frames_stand_side_by_side():
    model = c3d(input_shape=(16, 112, 112, 3), num_classes=2, width=0.1)
    found = filters(model)
    kernel = np.asarray(keras.ops.convert_to_numpy(model.get_layer(found.layer).kernel))
    frames, height, width, _, count = kernel.shape
    assert found.values.shape == (count, height, frames * width, 3)
    for t in range(frames):
        part = found.weights[1, :, t * width : (t + 1) * width]
        np.testing.assert_array_equal(part, kernel[t, ..., 1])


def test_kerakits_networks():
    found = filters(resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25))
    assert (found.layer, found.values.shape) == ("conv1", (16, 7, 7, 3))
    model = vit_ti_16(input_shape=(32, 32, 3), num_classes=2, depth=1, width=0.4, patch_size=8)
    found = filters(model)
    assert (found.layer, found.values.shape[1:]) == ("conv_proj", (8, 8, 3))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem = keras.Sequential([keras.layers.Conv2D(2, 3, name="inner")])
        self.after = keras.layers.Conv2D(2, 3, name="outer")

    def call(self, images):
        return self.after(self.stem(images))


def test_the_first_layer_of_a_model_of_models():
    model = Own()
    model(np.zeros((1, 8, 8, 3)))
    assert filters(model).layer == "inner"
    with pytest.raises(ValueError, match="must have a convolution that is built, and own_"):
        filters(Own())


def test_errors():
    dense = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), parts.DropPath(0.1)])
    with pytest.raises(ValueError, match="has none: its layers are .*Flatten, DropPath.* linear"):
        filters(dense)
    model = resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25)
    wanted = r"`layer` must be a convolution of resnet18 \(conv1, .* and \d+ more\), got 'conv_1'"
    with pytest.raises(ValueError, match=wanted):
        filters(model, layer="conv_1")
    with pytest.raises(ValueError, match="`layer` must be a convolution of resnet18 .*got 'bn1'"):
        filters(model, layer="bn1")
    with pytest.raises(ValueError, match="`most` must be at least 1, got 0"):
        filters(model).plot(most=0)


def test_plot_draws_the_values(tmp_path, rng):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(11, 3, name="first")])
    found = filters(model)
    figure = found.plot(tmp_path / "new" / "filters.png", most=9)
    assert (tmp_path / "new" / "filters.png").stat().st_size > 1000
    assert figure.get_suptitle() == "first: 9 of 11 filters"
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    assert len(drawn) == 9
    np.testing.assert_allclose(np.stack(drawn), found.values[:9], atol=1e-6)
