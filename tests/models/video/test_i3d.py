"""I3D beside pytorchvideo's, under the same weights by name, and what it is made of."""

import itertools

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.layers import EachFrame, MeanOfWindows, PaddedMaxPooling2D
from kerakit.models.video import i3d
from tests.golden import video_two_paths

SMALL = {"input_shape": (4, 32, 32, 3), "num_classes": 5, "depth": 18, "width": 0.125}


@pytest.mark.parametrize("name", ["i3d", pytest.param("i3d_windows", marks=pytest.mark.slow)])
def test_logits_are_pytorchvideos(name):
    if keras.backend.backend() == "jax":
        pytest.skip("compiling takes a minute on JAX; the small network's case runs there")
    clips = video_two_paths.clips(name)
    model = i3d(input_shape=clips.shape[1:], normalization="pytorchvideo")
    weights.load_torchvision(model, video_two_paths.checkpoint(name))
    found, expected = model.predict(clips, verbose=0), video_two_paths.logits(name)
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max() / largest
    print(f"{name}: {difference:.1e} of the largest logit")
    assert difference < 1e-4
    assert np.ptp(expected) > 0.1 * largest  # else every network would do


def test_parameters_and_macs_are_the_published_ones():
    """pytorchvideo's table: 28.04 M and 37.53 G, of 8 frames of 256 x 256.

    Its second figure counts five operations for each value that is normalised, as fvcore does
    in training; of convolutions fvcore 0.1.5 counts 37,102,813,184 on pytorchvideo's network.
    """
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = i3d(input_shape=(8, 256, 256, 3))
        report = cost.report(model)
    assert report.trainable_parameters == video_two_paths.parameters("i3d") == 28_043_472
    assert report.macs == 37_102_813_184 + 2048 * 400
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    normalised = sum(np.prod(layer.output.shape[1:]) for layer in norms)
    assert (report.macs + 5 * normalised) / 1e9 == pytest.approx(37.53, abs=0.005)
    keras.backend.clear_session()


def test_any_length_of_clip(rng):
    clips = rng.uniform(0, 255, (2, 7, 32, 40, 3)).astype("float32")
    model = i3d(**SMALL | {"input_shape": (None, None, None, 3)})
    fixed = i3d(**SMALL | {"input_shape": (7, 32, 40, 3)})
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(
        model.predict(clips, verbose=0), fixed.predict(clips, verbose=0), rtol=1e-4, atol=1e-5
    )


def test_temporal_stride_pools_time():
    shapes = {
        stride: i3d(**SMALL, temporal_stride=stride).get_layer("blocks_6_pool").input.shape[1]
        for stride in (1, 2, 4)
    }
    assert shapes == {1: 4, 2: 2, 4: 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temporal_stride": 5}, "`temporal_stride` must be a positive integer of at most 4"),
        ({"temporal_stride": 0}, "`temporal_stride` must be a positive integer"),
        ({"depth": 34}, r"`depth` must be one of \(18, 50, 101, 152\), got 34"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"width": 0}, "`width` must be positive, got 0"),
        ({"drop_rate": 1}, r"`drop_rate` must be in \[0, 1\), got 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        i3d(**SMALL | options)


@pytest.mark.parametrize("size", [(4, 7, 7), (5, 8, 9), (2, 3, 20), (1, 1, 1)])
def test_mean_of_windows_is_that_of_a_loop(size, rng):
    window = (4, 7, 7)
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    cut = np.minimum(window, size)
    starts = itertools.product(*(range(n - w + 1) for n, w in zip(size, cut, strict=True)))
    means = []
    for t, i, j in starts:
        means.append(x[:, t : t + cut[0], i : i + cut[1], j : j + cut[2]].mean((1, 2, 3)))
    layer = MeanOfWindows(window)
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, np.mean(means, axis=0), atol=1e-6)
    assert MeanOfWindows.from_config(layer.get_config()).window_size == window


@pytest.mark.parametrize("stride", [1, 3])
def test_each_frame_is_a_loop_over_frames(stride, rng):
    x = rng.normal(size=(2, 5, 9, 8, 3)).astype("float32")
    pool = PaddedMaxPooling2D(3, strides=2, padding=1)
    frames = [keras.ops.convert_to_numpy(pool(x[:, t])) for t in range(0, 5, stride)]
    layer = EachFrame(pool, stride=stride)
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(found, np.stack(frames, axis=1))
    assert found.shape == tuple(layer.compute_output_shape(x.shape))
    with pytest.raises(ValueError, match="`stride` must be a positive integer, got 0"):
        EachFrame(pool, stride=0)
