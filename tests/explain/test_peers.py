"""Heat maps beside pytorch-grad-cam's and captum's, on the same network and weights."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import explain
from kerakit.models import classification
from kerakit.weights import load_torchvision
from tests.golden import explain as cases


@functools.cache
def network(name):
    if name == "vgg11" and keras.backend.backend() == "jax":
        pytest.skip("on JAX Keras 3.15 pools 3 x 4 places to 7 x 7 as NaN")
    size = cases.pictures().shape[1:]
    model = getattr(classification, name)(input_shape=size)
    load_torchvision(model, cases.checkpoint(name))
    return model


def scaled(outputs):
    """The scores that the golden run explained."""
    first, second = cases.CLASSES
    return cases.SCALE * ops.stack([outputs[0, first], outputs[1, second]])


def assert_alike(found, expected):
    assert found.shape == expected.shape
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize(
    "name", [n if n != "vgg11" else pytest.param(n, marks=pytest.mark.slow) for n in cases.NETWORKS]
)
def test_maps_are_pytorch_grad_cams(name, method):
    heat = getattr(explain, method)(network(name), cases.pictures(), target=scaled)
    assert_alike(heat.raw, cases.golden(name, method))


def test_enlarged_as_pytorch_grad_cam_does():
    heat = explain.grad_cam(network("resnet18"), cases.pictures(), target=cases.CLASSES)
    assert_alike(heat.normalized(), cases.golden("resnet18", "grad_cam.enlarged"))


def test_cam_is_grad_cam_times_the_places():
    heat = explain.cam(network("resnet18"), cases.pictures(), target=cases.CLASSES)
    peer = cases.golden("resnet18", "grad_cam") / cases.SCALE
    assert_alike(np.maximum(heat.raw, 0), peer * heat.raw[0].size)


@pytest.mark.parametrize("name", ["resnet18", pytest.param("vgg11", marks=pytest.mark.slow)])
def test_saliency_is_captums(name):
    heat = explain.saliency(network(name), cases.pictures(), target=cases.CLASSES)
    assert_alike(heat.values, cases.golden(name, "saliency"))


def test_smooth_grad_is_the_mean_of_captums_gradients():
    heat = explain.smooth_grad(
        network("resnet18"),
        cases.pictures(),
        target=cases.CLASSES,
        samples=cases.SAMPLES,
        noise=cases.NOISE,
    )
    assert_alike(heat.values, cases.golden("resnet18", "smooth_grad"))
