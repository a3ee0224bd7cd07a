"""SlowFast beside pytorchvideo's, under the same weights by name, and what it is made of."""

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.layers import SlowFrames
from kerakit.models import video
from tests.golden import video_two_paths

SMALL = {"input_shape": (8, 32, 32, 3), "num_classes": 5, "depth": 18, "width": 0.25}
QUICK = ("slowfast_r50_4x16", "slowfast_r50_8x8_short")
NAMES = [name for name in video_two_paths.SIZES if name.startswith("slowfast")]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_logits_are_pytorchvideos(name):
    if keras.backend.backend() == "jax":
        pytest.skip("compiling takes minutes on JAX; the small network's case runs there")
    clips = video_two_paths.clips(name)
    build = getattr(video, "_".join(name.split("_")[:3]))
    model = build(input_shape=clips.shape[1:], normalization="pytorchvideo")
    weights.load_torchvision(model, video_two_paths.checkpoint(name))
    found, expected = model.predict(clips, verbose=0), video_two_paths.logits(name)
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max() / largest
    print(f"{name}: {difference:.1e} of the largest logit")
    assert difference < 1e-4
    assert np.ptp(expected) > 0.1 * largest  # else every network would do


# pytorchvideo's table, of 256 x 256: parameters in 10^6, operations in 10^9. The figure of 4x16
# has five of them for each value that is normalised, as fvcore counts in training, and that of
# 8x8 none. Last, what fvcore 0.1.5 counts of convolutions on pytorchvideo's networks.
@pytest.mark.parametrize(
    ("name", "millions", "billions", "each_normalised", "convolutions"),
    [
        ("slowfast_r50_4x16", 34.48, 36.69, 5, 36_098_277_376),
        ("slowfast_r50_8x8", 34.57, 65.71, 0, 65_707_966_464),
    ],
)
def test_parameters_and_macs_are_the_published_ones(
    name, millions, billions, each_normalised, convolutions
):
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = getattr(video, name)(input_shape=(32, 256, 256, 3))
        report = cost.report(model)
    assert report.trainable_parameters == video_two_paths.parameters(name)
    assert report.trainable_parameters / 1e6 == pytest.approx(millions, abs=0.005)
    assert report.macs == convolutions + (2048 + 256) * 400
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    normalised = sum(np.prod(layer.output.shape[1:]) for layer in norms)
    assert (report.macs + each_normalised * normalised) / 1e9 == pytest.approx(billions, abs=0.005)
    keras.backend.clear_session()


@pytest.mark.parametrize("alpha", video_two_paths.ALPHAS)
def test_slow_frames_are_those_of_pytorchvideos_transform(alpha):
    for frames in video_two_paths.LENGTHS:
        clips = np.arange(frames, dtype="float32").reshape(1, frames, 1, 1, 1)
        kept = keras.ops.convert_to_numpy(SlowFrames(alpha)(clips))
        expected = video_two_paths.slow_frames(frames, alpha)
        np.testing.assert_array_equal(kept.ravel(), expected)


def test_fast_path_sees_the_frames_that_the_slow_one_leaves_out(rng):
    clips = rng.uniform(0, 255, (1, 8, 32, 32, 3)).astype("float32")
    other = clips.copy()
    other[:, 1:7] = 255 - other[:, 1:7]  # of 8 frames the slow path takes 0 and 7
    model = video.slowfast(**SMALL)
    paths = [f"blocks_0_multipathway_blocks_{path}_pool" for path in (0, 1)]
    outputs = [model.get_layer(name).output for name in paths]
    outputs += [model.get_layer("blocks_0_multipathway_fusion_concatenation").output]
    taps = keras.Model(model.input, outputs)
    (slow, fast, fused), (slow_2, fast_2, fused_2) = (
        taps.predict(x, verbose=0) for x in (clips, other)
    )
    np.testing.assert_array_equal(slow, slow_2)
    assert np.abs(fast - fast_2).max() > 0.1
    own = slow.shape[-1]
    np.testing.assert_array_equal(fused[..., :own], fused_2[..., :own])
    assert np.abs(fused[..., own:] - fused_2[..., own:]).max() > 0.1


def test_any_length_of_clip(rng):
    clips = rng.uniform(0, 255, (2, 12, 32, 40, 3)).astype("float32")
    model = video.slowfast(**SMALL | {"input_shape": (None, None, None, 3)})
    fixed = video.slowfast(**SMALL | {"input_shape": (12, 32, 40, 3)})
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(
        model.predict(clips, verbose=0), fixed.predict(clips, verbose=0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("variant", ["8x8", "4x16"])
def test_beta_and_width_scale_the_paths(variant):
    model = video.slowfast(**SMALL | {"beta": 0.25, "width": 0.5, "variant": variant})
    slow, fast = (
        model.get_layer(f"blocks_{4}_multipathway_blocks_{path}_res_blocks_0_activation").output
        for path in (0, 1)
    )
    assert (slow.shape[-1], fast.shape[-1]) == (1024, 256)
    assert (slow.shape[1], fast.shape[1]) == (8 // {"8x8": 4, "4x16": 8}[variant], 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "16x8"}, r"`variant` must be one of \('4x16', '8x8'\), got '16x8'"),
        ({"input_shape": (10, 32, 32, 3)}, "`input_shape` must have a multiple of 4 frames"),
        ({"variant": "4x16", "input_shape": (12, 32, 32, 3)}, "a multiple of 8 frames"),
        ({"beta": 0}, r"`beta` must be in \(0, 1\], got 0"),
        ({"depth": 34}, r"`depth` must be one of \(18, 50, 101, 152\), got 34"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"width": 0}, "`width` must be positive, got 0"),
        ({"drop_rate": 1}, r"`drop_rate` must be in \[0, 1\), got 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        video.slowfast(**SMALL | options)


def test_alpha_must_be_positive():
    with pytest.raises(ValueError, match="`alpha` must be a positive integer, got 0"):
        SlowFrames(0)
