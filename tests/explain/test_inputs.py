import keras
import numpy as np
import pytest
from keras import layers

from kerakit import explain
from tests.explain.networks import pixels


def two_inputs(structure):
    """A model of images and of numbers that are added to the scores."""
    images, numbers = keras.Input((8, 12, 3), name="photo"), keras.Input((4,), name="numbers")
    # Positive weights, so that Grad-CAM's ReLU leaves something on any backend.
    positive = keras.initializers.RandomUniform(0.01, 0.1, seed=1)
    x = layers.Conv2D(5, 3, activation="relu", name="maps", kernel_initializer=positive)(images)
    x = layers.GlobalAveragePooling2D()(x)
    scores = layers.Add()([layers.Dense(4, kernel_initializer=positive)(x), numbers])
    return keras.Model(structure(images, numbers), scores)


def as_dict(images, numbers):
    return {"photo": images, "numbers": numbers}


def as_list(images, numbers):
    return [numbers, images]


@pytest.mark.parametrize("structure", [as_dict, as_list])
@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_the_pixels_are_found_among_several_inputs(structure, kind, rng):
    model, images = two_inputs(structure), pixels(2, 8, 12, 3).astype(kind)
    numbers = rng.normal(size=(2, 4)) * 9
    inputs = structure(images, numbers)
    logits = keras.ops.convert_to_numpy(model(structure(images.astype("float32"), numbers)))
    for method in (explain.saliency, explain.grad_cam):
        heat = method(model, inputs, target=3)
        np.testing.assert_allclose(heat.scores, logits[:, 3], rtol=1e-4)
        np.testing.assert_array_equal(heat.images, images)
        assert heat.values.any()
    # A class's numbers move its score and no map.
    others = explain.grad_cam(model, structure(images, numbers + 5), target=3)
    np.testing.assert_allclose(others.values, heat.values, rtol=1e-4, atol=1e-6)
    maps = explain.feature_maps(model, inputs)
    alone = explain.feature_maps(keras.Model(model.get_layer("photo").output,
                                             model.get_layer("maps").output), images)  # fmt: skip
    np.testing.assert_allclose(maps.values, alone.values, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(maps.images, images)


def test_attention_of_several_inputs(rng):
    images, scale = keras.Input((8, 8, 3), name="photo"), keras.Input((1,), name="scale")
    x = layers.Reshape((4, 16))(layers.Conv2D(16, 4, strides=4)(images))
    x = layers.MultiHeadAttention(1, 4, name="attention")(x, x)
    x = layers.Multiply()([layers.GlobalAveragePooling1D()(x), scale])
    model = keras.Model({"photo": images, "scale": scale}, x)
    one = keras.Model(images, model.get_layer("attention").output)
    photos = pixels(2, 8, 8, 3)
    inputs = {"photo": photos, "scale": np.ones((2, 1))}
    maps, alone = explain.attention_maps(model, inputs), explain.attention_maps(one, photos)
    np.testing.assert_allclose(
        maps.weights["attention"], alone.weights["attention"], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(maps.images, photos)
    heat = explain.attention_rollout(model, inputs)
    np.testing.assert_allclose(heat.raw, explain.attention_rollout(one, photos).raw, rtol=1e-4)


METHODS = (
    explain.saliency,
    explain.feature_maps,
    explain.attention_maps,
    explain.attention_rollout,
)


@pytest.mark.parametrize("method", METHODS)
def test_which_is_the_pixels_must_be_clear(method):
    images = pixels(2, 8, 12, 3)
    model = two_inputs(as_dict)
    told = r"one input of images, .*got \['left'\] \(2, 8, 12, 3\), \['right'\] \(2, 8, 12, 3\)"
    with pytest.raises(ValueError, match=f"`images` must have {told}"):
        method(model, {"left": images, "right": images})
    with pytest.raises(ValueError, match=r"`images` must have .*got \['numbers'\] \(2, 4\)\."):
        method(model, {"numbers": np.ones((2, 4))})


def test_of_several_images_the_one_of_that_name_is_explained():
    one, two = (keras.Input((4, 4, 1), name=name) for name in ("images", "others"))
    scores = layers.Dense(2)(layers.Flatten()(layers.Subtract()([one, two])))
    model = keras.Model({"images": one, "others": two}, scores)
    images = pixels(2, 4, 4, 1)
    heat = explain.saliency(model, {"images": images, "others": images + 1}, target=0)
    np.testing.assert_array_equal(heat.images, images)


@pytest.mark.parametrize("method", METHODS)
def test_there_must_be_an_example(method):
    model = keras.Sequential([keras.Input((8, 12, 3)), layers.Conv2D(2, 3), layers.Flatten()])
    wanted = r"`images` must have at least one example, got the shape \(0, 8, 12, 3\)"
    with pytest.raises(ValueError, match=wanted):
        method(model, np.zeros((0, 8, 12, 3)))
