"""C3D beside the same network in PyTorch, and its published figures."""

import keras
import numpy as np
import pytest

from kerakit import cost, weights
from kerakit.models import video
from tests.golden import video as golden

CASES = [case for case, (name, *_) in golden.CASES.items() if name == "c3d"]


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c == "c3d" else c for c in CASES]
)
def test_logits_are_those_of_pytorch(case):
    _, _, options = golden.CASES[case]
    clips = golden.clips(case)
    model = video.c3d(input_shape=clips.shape[1:], **options)
    weights.load_torchvision(model, golden.checkpoint(case))
    expected, found = golden.logits(case), model.predict(clips, verbose=0)
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max() / largest
    print(f"{case}: {difference:.1e} of the largest logit")
    assert difference < 1e-4
    assert np.ptp(expected) > largest  # else every network would do
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * largest


def test_parameters_and_macs_are_the_published_ones():
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = video.c3d()
        report = cost.report(model)
    assert report.parameters == 78_409_573
    assert report.macs / 1e9 == pytest.approx(38.547, abs=5.1e-4)
    assert model.get_layer("fc6").kernel.shape == (8192, 4096)
    keras.backend.clear_session()


def test_strides_in_time_let_short_clips_in():
    model = video.c3d(
        input_shape=(2, 16, 16, 3), width=0.0625, num_classes=3, temporal_strides=(1, 2, 1, 1, 1)
    )
    assert model.get_layer("pool5").output.shape == (None, 1, 1, 1, 32)
    assert model.predict(np.zeros((1, 2, 16, 16, 3)), verbose=0).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_shape": (8, 112, 112, 3), "temporal_strides": (1, 2, 2, 2, 2)},
            r"must be \(T, H, W, C\) with T at least 16 and H and W at least 16, got \(8, 112",
        ),
        ({"input_shape": (16, 112, 15, 3)}, r"at least 16, got \(16, 112, 15, 3\)"),
        ({"input_shape": (None, 112, 112, 3)}, r"at least 16, got \(None, 112, 112, 3\)"),
        ({"input_shape": (112, 112, 3)}, r"`input_shape` must be \(T, H, W, C\)"),
        (
            {"input_shape": (3, 32, 32, 3), "temporal_strides": (1, 1, 2, 2, 1)},
            r"with T at least 4 and H and W at least 16, got \(3, 32, 32, 3\)",
        ),
        ({"temporal_strides": (1, 2, 2)}, "`temporal_strides` must be an integer of at least 1"),
        ({"drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\), got 1.0"),
        ({"width": -1}, "`width` must be positive, got -1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        video.c3d(**options)
