"""Other libraries' segmenters and kerakit's, under the same weights by name."""

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.errors import InputError
from kerakit.models import classification, segmentation
from tests.golden import segmenters

# Published: torchvision's table of models (with the auxiliary head, multiply-accumulates of one
# picture of 520 x 520).
PUBLISHED = {"fcn_resnet50": (35_322_218, 152.717), "fcn_resnet101": (54_314_346, 232.738)}


def built(name, **options):
    model = getattr(segmentation, name)
    shape = segmenters.pictures(name).shape[1:]
    return model(**{"input_shape": shape, "num_classes": segmenters.CLASSES, **options})


def assert_equal(found, name, output):
    assert found.shape == (*segmenters.pictures(name).shape[:3], segmenters.CLASSES)
    expected = segmenters.answer(name, output)
    largest = np.abs(expected).max()
    difference = np.abs(found[:, :: segmenters.EVERY, :: segmenters.EVERY] - expected).max()
    print(f"{name}, {output}: {difference / largest:.1e} of the largest logit")
    assert difference < 1e-4 * largest
    assert np.ptp(expected) > largest  # else every network would do


@pytest.mark.parametrize(
    "name", ["fcn_resnet50", pytest.param("fcn_resnet101", marks=pytest.mark.slow)]
)
def test_fcn_answers_as_torchvisions(name):
    if keras.backend.backend() == "jax" and name == "fcn_resnet101":
        pytest.skip("compiling takes a minute on JAX; fcn_resnet50 runs there")
    model = built(name, auxiliary_head=True)
    weights.load_torchvision(model, segmenters.checkpoint(name))
    found = model.predict(segmenters.pictures(name), verbose=0)
    for output in ("logits", "aux"):
        assert_equal(found[output], name, output)


def peer_to_kerakit(name):
    """segmentation_models_pytorch's name of a parameter, in kerakit's words."""
    part, _, rest = name.partition(".")
    if part == "encoder":
        return rest
    if part == "segmentation_head":
        return name.replace("segmentation_head.0", "head")
    _, step, convolution, position, last = rest.split(".")
    kind = {"0": "conv", "1": "bn"}[position]
    return f"up{step}_{kind}{convolution.removeprefix('conv')}.{last}"


def test_unet_answers_as_segmentation_models_pytorchs():
    name = "unet_resnet18"
    model = built(name)
    checkpoint = segmenters.checkpoint(name)
    weights.load_torchvision(model, {peer_to_kerakit(n): x for n, x in checkpoint.items()})
    assert_equal(model.predict(segmenters.pictures(name), verbose=0), name, "logits")
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert parameters == sum(x.size for n, x in checkpoint.items() if "running" not in n)
    assert parameters == 14_328_499


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_macs_are_the_published_ones(name):
    with keras.StatelessScope(initialize_variables=False):  # without values
        report = cost.report(getattr(segmentation, name)(auxiliary_head=True))
    parameters, gmacs = PUBLISHED[name]
    assert report.trainable_parameters == parameters
    assert report.macs / 1e9 == pytest.approx(gmacs, abs=5.1e-4)
    keras.backend.clear_session()


def narrow(**options):
    return segmentation.fcn_resnet50(input_shape=(32, 40, 3), num_classes=4, width=0.125, **options)


def arrays_of(model, prefix=""):
    """A checkpoint of a model's weights, under torchvision's names."""
    words = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
    words |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    arrays = {}
    for layer in model.layers:
        for variable in layer.weights if not isinstance(layer, keras.Model) else ():
            value = keras.ops.convert_to_numpy(variable)
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            name = layer.name.replace("classifier_", "classifier.")
            arrays[f"{prefix}{name}.{words[variable.name]}"] = value
    return arrays


def test_a_classifiers_checkpoint_loads_into_the_backbone():
    classifier = classification.resnet50(input_shape=(32, 40, 3), num_classes=7, width=0.125)
    model = narrow()
    body = model.get_layer("backbone")
    weights.load_torchvision(body, arrays_of(classifier), skip=("fc.",))
    for layer in body.layers:
        for one, other in zip(
            layer.get_weights(), classifier.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_other_classes_loads_without_the_heads():
    source = segmentation.fcn_resnet50(
        input_shape=(32, 40, 3), num_classes=9, width=0.125, auxiliary_head=True
    )
    arrays = arrays_of(source) | arrays_of(source.get_layer("backbone"), "backbone.")
    model = narrow(auxiliary_head=True)
    with pytest.raises(InputError, match="classifier.4.*does not fit"):
        weights.load_torchvision(model, arrays)
    before = model.get_layer("classifier_4").get_weights()
    weights.load_torchvision(model, arrays, head=False)
    for name in ("classifier_4", "aux_classifier_4"):
        assert model.get_layer(name).kernel.shape[-1] == 4
    np.testing.assert_array_equal(model.get_layer("classifier_4").get_weights()[0], before[0])
    np.testing.assert_array_equal(
        model.get_layer("aux_classifier_0").kernel, source.get_layer("aux_classifier_0").kernel
    )
    # Without the auxiliary head, its arrays are left out.
    weights.load_torchvision(narrow(), arrays, head=False, skip=("aux_classifier.",))
