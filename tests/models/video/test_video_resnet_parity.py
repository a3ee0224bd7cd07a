"""Torchvision's networks of clips and kerakit's, under the same weights by name."""

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.errors import InputError
from kerakit.export.folding import fold
from kerakit.layers import BatchNormalization
from kerakit.models import video
from tests.golden import video as golden

# Published: torchvision's table of models (400 classes; multiply-accumulates of one clip of
# 16 x 112 x 112, in 10^9, to three decimals). BatchNorm's moving statistics come on top.
PUBLISHED = {
    "r3d_18": (33_371_472, 40.697),
    "mc3_18": (11_695_440, 43.343),
    "r2plus1d_18": (31_505_325, 40.519),
}
CASES = [case for case, (name, *_) in golden.CASES.items() if name in PUBLISHED]
# Of each network one size; mc3_18 has the layers of r3d_18 and of 2D networks.
QUICK = {"r3d_18", "mc3_18_odd", "r2plus1d_18_odd"}


def built(name, **options):
    return getattr(video, name)(**options)


def narrow(name, **options):
    defaults = {"input_shape": (8, 32, 32, 3), "num_classes": 5, "width": 0.125}
    return built(name, **{**defaults, **options})


@pytest.mark.parametrize(
    "case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES]
)
def test_logits_are_torchvisions(case):
    if keras.backend.backend() == "jax" and case not in QUICK:
        pytest.skip("compiling takes long on JAX; one size of each runs there")
    name, *_ = golden.CASES[case]
    clips = golden.clips(case)
    model = built(name, input_shape=clips.shape[1:])
    weights.load_torchvision(model, golden.checkpoint(case))
    expected, found = golden.logits(case), model.predict(clips, verbose=0)
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max() / largest
    print(f"{case}: {difference:.1e} of the largest logit")
    assert difference < 1e-4
    assert np.ptp(expected) > largest  # else every network would do
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * largest


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_macs_are_the_published_ones(name):
    with keras.StatelessScope(initialize_variables=False):  # without values
        report = cost.report(built(name))
    parameters, gmacs = PUBLISHED[name]
    assert report.trainable_parameters == parameters
    assert report.macs / 1e9 == pytest.approx(gmacs, abs=5.1e-4)
    keras.backend.clear_session()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_checkpoint_of_another_network_does_not_fit(name):
    other = {"r3d_18": "r2plus1d_18", "mc3_18": "r3d_18", "r2plus1d_18": "mc3_18"}[name]
    with keras.StatelessScope(initialize_variables=False):
        model = built(name, input_shape=(4, 32, 32, 3))
    with pytest.raises(InputError, match=f"does not fit {name}"):
        weights.load_torchvision(model, golden.checkpoint(other))
    keras.backend.clear_session()


@pytest.mark.parametrize("name", PUBLISHED)
def test_any_length_and_size_of_clips(name, rng):
    """One network of unknown sizes answers as those of known ones with its weights."""
    anything = narrow(name, input_shape=(None, None, None, 3))
    for size in ((1, 20, 24), (5, 33, 17)):
        clips = rng.uniform(0, 255, (2, *size, 3)).astype("float32")
        known = narrow(name, input_shape=(*size, 3))
        known.set_weights(anything.get_weights())
        expected = known.predict(clips, verbose=0)
        found = anything.predict(clips, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 1e-3


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_norm_is_left_in_an_export(name, rng):
    model = narrow(name)
    model.set_weights(
        [abs(w + rng.normal(0, 0.1, w.shape)) if w.ndim == 1 else w for w in model.get_weights()]
    )
    folded = fold(model)
    assert not any(isinstance(layer, BatchNormalization) for layer in folded.layers)
    clips = rng.uniform(0, 255, (2, 8, 32, 32, 3)).astype("float32")
    expected = model.predict(clips, verbose=0)
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(folded.predict(clips, verbose=0), expected, rtol=0, atol=atol)


def test_strides_in_time_and_the_stem_for_small_clips():
    def last_map(**options):
        return narrow("r3d_18", **options).get_layer("layer4_1_relu").output.shape[1:]

    assert last_map() == (1, 2, 2, 64)
    assert last_map(temporal_strides=1) == (8, 2, 2, 64)
    assert last_map(temporal_strides=(2, 1, 1, 2)) == (2, 2, 2, 64)
    assert last_map(stem="small") == (1, 4, 4, 64)
    mixed = narrow("mc3_18", temporal_strides=(1, 2, 1, 1)).get_layer("layer4_1_relu").output
    assert mixed.shape[1:] == (4, 2, 2, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "imagenet"}, r"`stem` must be one of \('kinetics', 'small'\), got 'imagenet'"),
        ({"temporal_strides": (1, 2)}, "`temporal_strides` must be an integer of at least 1 or 4"),
        ({"temporal_strides": 0}, "`temporal_strides` must be an integer of at least 1 or 4"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"width": 0}, "`width` must be positive, got 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        built("r2plus1d_18", **options)
