import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import explain
from tests.explain.networks import convolutions, pixels


def smooth_network():
    """Without kinks, so that differences are gradients."""
    images = keras.Input((4, 5, 2))
    x = layers.Conv2D(3, 3, activation="tanh")(layers.Rescaling(1 / 255)(images))
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(x)))


def by_differences(model, images, classes, step=1.0):
    """Central differences of the scores by each pixel: (B, H, W, C)."""
    size = images[0].size
    steps = step * np.concatenate([np.eye(size), -np.eye(size)]).reshape(-1, *images.shape[1:])
    slopes = []
    for image, k in zip(images, classes, strict=True):
        scores = ops.convert_to_numpy(model((image + steps).astype("float32")))[:, k]
        slopes.append((scores[:size] - scores[size:]) / (2 * step))
    return np.reshape(slopes, images.shape)


def test_is_the_largest_difference_of_the_channels():
    model, images = smooth_network(), pixels(2, 4, 5, 2)
    slopes = by_differences(model, images, [2, 0])
    heat = explain.saliency(model, images, target=[2, 0])
    expected = np.abs(slopes).max(axis=-1)
    np.testing.assert_allclose(heat.values, expected, atol=2e-3 * expected.max())
    assert heat.raw is None
    assert heat.layers == ()


def test_works_without_convolutions_and_on_clips():
    clips = keras.Input((3, 4, 5, 1))
    model = keras.Model(clips, layers.Dense(2)(layers.Flatten()(clips)))
    kernel = model.get_weights()[0].reshape(3, 4, 5, 2)
    heat = explain.saliency(model, pixels(2, 3, 4, 5, 1), target=1)
    np.testing.assert_allclose(heat.values, np.stack([np.abs(kernel[..., 1])] * 2), rtol=1e-5)


def test_smooth_grad_is_the_mean_of_gradients_of_noisy_images():
    model, images = smooth_network(), pixels(2, 4, 5, 2)
    images[1] *= 0.25  # of another range
    draw, total = np.random.default_rng(7), 0.0
    span = np.ptp(images.reshape(2, -1), axis=1).reshape(2, 1, 1, 1)
    for _ in range(3):
        noise = draw.standard_normal((4, 5, 2), "float32")
        total = total + by_differences(model, images + 0.2 * span * noise, [1, 1])
    heat = explain.smooth_grad(model, images, target=1, samples=3, noise=0.2, seed=7)
    expected = np.abs(total / 3).max(axis=-1)
    np.testing.assert_allclose(heat.values, expected, atol=2e-3 * expected.max())


def test_smooth_grad_of_an_image_does_not_depend_on_the_others():
    model, images = convolutions(), pixels(3, 12, 16, 3)
    whole = explain.smooth_grad(model, images, samples=2)
    alone = explain.smooth_grad(model, images[1:2], samples=2)
    np.testing.assert_allclose(whole.values[1], alone.values[0], rtol=1e-3, atol=1e-6)


def test_smooth_grad_without_noise_is_saliency():
    model, images = convolutions(), pixels(2, 12, 16, 3)
    smooth = explain.smooth_grad(model, images, samples=2, noise=0)
    np.testing.assert_allclose(
        smooth.values, explain.saliency(model, images).values, rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "`samples` must be a positive integer, got 0"),
        ({"noise": -1}, "`noise` must be at least 0, got -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        explain.smooth_grad(convolutions(), pixels(1, 12, 16, 3), **options)


def test_one_image_alone_is_no_batch():
    with pytest.raises(ValueError, match=r"must be a batch \(B, H, W, C\).* shape \(16, 3\)"):
        explain.saliency(convolutions(), ops.ones((16, 3)))
