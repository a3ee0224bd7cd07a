import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import explain
from kerakit.gradients.automatic import compiled
from tests.explain.networks import convolutions, maps_of, pixels

METHODS = ("grad_cam", "grad_cam_plus_plus", "hires_cam")


def by_loop(method, maps, slopes):
    """The map of one example from its maps and gradients (h, w, C), place by place."""
    height, width, channels = maps.shape
    heat = np.zeros((height, width))
    for k in range(channels):
        total = maps[..., k].sum()
        weight = 0.0
        for row, column in np.ndindex(height, width):
            g = slopes[row, column, k]
            if method == "grad_cam":
                weight += g / (height * width)
            elif method == "grad_cam_plus_plus" and g > 0:
                weight += g**2 / (2 * g**2 + total * g**3) * g
        for row, column in np.ndindex(height, width):
            factor = slopes[row, column, k] if method == "hires_cam" else weight
            heat[row, column] += factor * maps[row, column, k]
    return np.maximum(heat, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [None, "softmax"])
def test_equals_the_loop(method, end):
    # Behind flattened maps the gradients are the dense layer's weights.
    model, images = convolutions(pooling=False, end=end), pixels(2, 12, 16, 3)
    heat = getattr(explain, method)(model, images, target=[0, 2])
    maps = maps_of(model, images).astype("float64")
    kernel, _ = model.get_layer("scores").get_weights()
    slopes = kernel.reshape(*maps.shape[1:], 3)
    expected = [by_loop(method, maps[i], slopes[..., k]) for i, k in enumerate((0, 2))]
    np.testing.assert_allclose(heat.raw, expected, rtol=1e-3, atol=1e-5 * np.max(expected))
    assert heat.layers == ("maps",)


@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_a_smoothed_map_has_means_by_a_gaussian(deviation):
    model, images = convolutions(pooling=False), pixels(1, 12, 16, 3)
    heat = explain.hires_cam(model, images, target=1).raw[0]
    expected = np.zeros(heat.shape)
    for place in np.ndindex(*heat.shape):
        total = 0.0
        for other in np.ndindex(*heat.shape):
            square = sum((a - b) ** 2 for a, b in zip(place, other, strict=True))
            weight = np.exp(-square / (2 * deviation**2))
            total, expected[place] = total + weight, expected[place] + weight * heat[other]
        expected[place] /= total
    smoothed = explain.hires_cam(model, images, target=1, smoothing=deviation).raw[0]
    np.testing.assert_allclose(smoothed, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_smoothing_must_not_be_negative():
    with pytest.raises(ValueError, match="`smoothing` must be at least 0, got -1"):
        explain.hires_cam(convolutions(), pixels(1, 12, 16, 3), smoothing=-1)


def test_classes_with_a_softmax_are_explained_by_their_logits():
    model, images = convolutions(), pixels(2, 12, 16, 3)
    likely = convolutions(end="softmax")
    likely.set_weights(model.get_weights())
    one, other = explain.grad_cam(model, images), explain.grad_cam(likely, images)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5)
    np.testing.assert_allclose(other.scores, model.predict(images, verbose=0).max(1), rtol=1e-5)


def test_several_layers_are_added():
    model, images = convolutions(), pixels(2, 12, 16, 3)
    first = model.layers[2]
    parts = [explain.hires_cam(model, images, layer=one) for one in (first, "maps")]
    both = explain.hires_cam(model, images, layer=[first, "maps"])
    # The later map depends on the first: each keeps the gradient that it has by itself.
    np.testing.assert_allclose(both.values, parts[0].values + parts[1].values, rtol=1e-4, atol=1e-7)
    assert both.layers == (first.name, "maps")
    assert [raw.shape for raw in both.raw] == [(2, 6, 8), (2, 6, 8)]


def test_of_a_layer_called_twice_the_last_call_counts():
    images = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    x = shared(ops.tanh(shared(images)))
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    x = pixels(1, 8, 8, 2) / 255
    heat = explain.cam(model, x, target=0)
    found = explain.grad_cam(model, x, target=0, layer="shared")
    expected = np.maximum(heat.raw, 0) / 64
    np.testing.assert_allclose(found.raw, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_float32(policy):
    images = pixels(2, 12, 16, 3)
    model, mixed = convolutions(pooling=False), convolutions(pooling=False, dtype=policy)
    mixed.set_weights(model.get_weights())
    for method in (*METHODS, "saliency"):
        exact, found = (getattr(explain, method)(m, images, target=1) for m in (model, mixed))
        assert found.values.dtype == found.scores.dtype == np.float32
        largest = exact.values.max()
        bound = 0.05 if policy == "mixed_bfloat16" else 0.01
        assert np.abs(found.values - exact.values).mean() < bound * largest


def test_small_gradients_stay_in_float16():
    model = convolutions(pooling=False, dtype="mixed_float16")
    # 3e-8 is below the least float16; the maps of so small weights are still there.
    kernel, bias = model.get_layer("scores").get_weights()
    exact = convolutions(pooling=False)
    exact.set_weights(model.get_weights())
    for one in (model, exact):
        one.get_layer("scores").set_weights([kernel * 1e-6, bias])
    images = pixels(1, 12, 16, 3)
    found, expected = (explain.hires_cam(one, images, target=1).values for one in (model, exact))
    assert np.abs(found - expected).max() < 0.3 * expected.max()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is traced there")
@pytest.mark.parametrize("method", ["grad_cam", "cam", "saliency"])
def test_can_be_traced(method):
    model, images = convolutions(), pixels(2, 12, 16, 3)
    function = getattr(explain, method)
    traced = compiled(lambda x: function(model, x).values)
    found = ops.convert_to_numpy(traced(ops.convert_to_tensor(images)))
    np.testing.assert_allclose(found, function(model, images).values, rtol=1e-3, atol=1e-6)


def test_nothing_of_the_model_changes():
    model, images = convolutions(end="softmax"), pixels(2, 12, 16, 3)
    x = layers.BatchNormalization()(model.get_layer("maps").output)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(model.input, x)
    before = model.get_weights()
    nodes = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model.layers]
    answer = model.predict(images, verbose=0)
    for method in (*METHODS, "cam", "saliency", "smooth_grad"):
        getattr(explain, method)(model, images)
    assert nodes == [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model.layers]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.layers[-1].activation is keras.activations.softmax
    np.testing.assert_array_equal(answer, model.predict(images, verbose=0))


class Subclassed(keras.Model):
    """Without an argument `training`, and with work between its layers."""

    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(4, 3, name="first")
        self.scores = layers.Dense(3)

    def call(self, images):
        return self.scores(ops.mean(ops.relu(self.first(images / 255.0)), axis=(1, 2)))


def test_a_subclassed_model_that_is_not_yet_built():
    model, images = Subclassed(), pixels(2, 8, 8, 3)
    heat = explain.grad_cam(model, images, target=1)
    maps = ops.convert_to_numpy(model.first(images / 255.0))
    # The ReLU comes behind the map that is found.
    slopes = np.where(maps > 0, model.scores.get_weights()[0][:, 1], 0.0) / 36
    expected = np.maximum((slopes.mean(axis=(1, 2), keepdims=True) * maps).sum(axis=-1), 0)
    np.testing.assert_allclose(heat.raw, expected, rtol=1e-3, atol=1e-7)
    assert heat.layers == ("first",)
