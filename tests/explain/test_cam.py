import keras
import numpy as np
import pytest
from keras import layers

from kerakit import explain
from kerakit.models import classification, video
from tests.explain.networks import convolutions, maps_of, pixels


def cam_by_loop(maps, kernel, classes):
    heat = np.zeros(maps.shape[:-1])
    for example in range(len(maps)):
        for place in np.ndindex(maps.shape[1:-1]):
            for channel in range(maps.shape[-1]):
                weight = kernel[channel, classes[example]]
                heat[(example, *place)] += weight * maps[(example, *place, channel)]
    return heat


@pytest.mark.parametrize("end", [None, "softmax", "sigmoid"])
def test_equals_the_loop(end):
    model, images = convolutions(end=end), pixels(2, 12, 16, 3)
    heat = explain.cam(model, images, target=[2, 0])
    kernel, _ = model.get_layer("scores").get_weights()
    expected = cam_by_loop(maps_of(model, images), kernel, [2, 0])
    np.testing.assert_allclose(heat.raw, expected, rtol=1e-4, atol=1e-5)
    assert heat.layers == ("pool",)


def test_its_mean_and_the_bias_are_the_score():
    model, images = convolutions(), pixels(3, 12, 16, 3)
    model.get_layer("scores").bias.assign([0.5, -1.0, 2.0])
    logits = model.predict(images, verbose=0)
    heat = explain.cam(model, images)
    assert list(heat.classes) == list(logits.argmax(axis=1))
    means = heat.raw.mean(axis=(1, 2)) + np.array([0.5, -1.0, 2.0])[heat.classes]
    np.testing.assert_allclose(means, logits.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(heat.scores, logits.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "images"),
    [
        (lambda: convolutions(), (2, 12, 16, 3)),
        (
            lambda: classification.googlenet(
                input_shape=(64, 96, 3), num_classes=4, width=0.125, auxiliary_heads=True
            ),
            (1, 64, 96, 3),
        ),
        (
            lambda: video.r3d_18(
                input_shape=(4, 32, 48, 3), num_classes=4, width=0.125, stem="small"
            ),
            (1, 4, 32, 48, 3),
        ),
    ],
)
def test_is_grad_cam_times_the_number_of_places(model, images):
    model, images = model(), pixels(*images)
    one, other = (method(model, images, target=1) for method in (explain.cam, explain.grad_cam))
    expected = np.maximum(one.raw, 0) / one.raw[0].size
    np.testing.assert_allclose(other.raw, expected, rtol=1e-3, atol=1e-4 * expected.max())
    # The mean over the places is the only thing that Grad-CAM does beyond HiResCAM.
    same = explain.hires_cam(model, images, target=1)
    np.testing.assert_allclose(same.raw, other.raw, rtol=1e-3, atol=1e-4 * expected.max())


def test_a_softmax_as_a_layer_and_a_cast_behind_it():
    plain, images = convolutions(dtype="mixed_bfloat16"), pixels(2, 12, 16, 3)
    x = layers.Softmax(dtype="float32")(plain.output)
    model = keras.Model(plain.input, layers.Activation("linear", dtype="float32")(x))
    found = explain.cam(model, images, target=1)
    np.testing.assert_allclose(found.raw, explain.cam(plain, images, target=1).raw, rtol=1e-6)


@pytest.mark.parametrize(
    "behind",
    [
        lambda x: layers.Dense(3)(layers.Flatten()(x)),
        lambda x: layers.Dense(3)(layers.Dense(8)(layers.GlobalAveragePooling2D()(x))),
        lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(x)),
        lambda x: layers.Dense(3, activation="relu")(layers.GlobalAveragePooling2D()(x)),
    ],
)
def test_another_end_is_told(behind):
    images = keras.Input((12, 16, 3))
    model = keras.Model(images, behind(layers.Conv2D(4, 3)(images)), name="other")
    with pytest.raises(ValueError, match="must end in GlobalAveragePooling2D .* other does not; "
                       "`explain.grad_cam` is for any"):  # fmt: skip
        explain.cam(model, pixels(1, 12, 16, 3))


def test_a_function_is_no_class():
    with pytest.raises(ValueError, match="`target` must be None or a class for `cam`, got <func"):
        explain.cam(convolutions(), pixels(1, 12, 16, 3), target=lambda outputs: outputs[:, 0])
