"""Torchvision's classifiers and kerakit's, under the same weights by name."""

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.models import classification
from tests.golden import classifiers

# Published: torchvision's table of models (parameters; multiply-accumulates of one picture of
# 224 x 224, in 10^9, to three decimals). BatchNorm's moving statistics come on top.
PUBLISHED = {
    "alexnet": (61_100_840, 0.714),
    "vgg11": (132_863_336, 7.609),
    "vgg11_bn": (132_868_840, 7.609),
    "vgg13": (133_047_848, 11.308),
    "vgg13_bn": (133_053_736, 11.308),
    "vgg16": (138_357_544, 15.470),
    "vgg16_bn": (138_365_992, 15.470),
    "vgg19": (143_667_240, 19.632),
    "vgg19_bn": (143_678_248, 19.632),
    "googlenet": (6_624_904, 1.498),
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
    "densenet121": (7_978_856, 2.834),
    "densenet169": (14_149_480, 3.360),
    "densenet201": (20_013_928, 4.291),
    "mobilenet_v2": (3_504_872, 0.301),
    "vit_b_16": (86_567_656, 17.564),
    "vit_b_32": (88_224_232, 4.409),
    "vit_l_16": (304_326_632, 61.555),
}
# One of each family but the heavy VGG in every run; the others in `make test-all`.
QUICK = {"alexnet", "googlenet", "resnet18", "resnet50", "densenet121"}
QUICK |= {"mobilenet_v2", "vit_b_32"}


def each(names):
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", each(classifiers.SIZES))
def test_logits_are_torchvisions(name):
    if keras.backend.backend() == "jax" and name not in ("resnet18", "mobilenet_v2"):
        pytest.skip("compiling takes a minute on JAX; the layers' tests run there")
    pictures = classifiers.pictures(name)
    options = {"normalization": "imagenet", "auxiliary_heads": True} if name == "googlenet" else {}
    model = getattr(classification, name)(input_shape=pictures.shape[1:], **options)
    weights.load_torchvision(model, classifiers.checkpoint(name))
    found = model.predict(pictures, verbose=0)
    found = found["logits"] if name == "googlenet" else found
    expected = classifiers.logits(name)
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max() / largest
    print(f"{name}: {difference:.1e} of the largest logit")
    assert difference < 1e-4
    assert np.ptp(expected) > 0.1 * largest  # else every network would do


@pytest.mark.parametrize("name", each(PUBLISHED))
def test_parameters_and_macs_are_the_published_ones(name):
    with keras.StatelessScope(initialize_variables=False):  # without values
        report = cost.report(getattr(classification, name)())
    parameters, gmacs = PUBLISHED[name]
    assert report.trainable_parameters == parameters
    assert report.macs / 1e9 == pytest.approx(gmacs, abs=5.1e-4)
    keras.backend.clear_session()


def test_the_table_is_whole():
    assert set(classifiers.SIZES) == set(PUBLISHED) - {"vit_l_16"}
