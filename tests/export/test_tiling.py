"""Tiles cover an image, and their weights add up to 1."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.export import Tiling
from kerakit.export.tiling import overlap_add

TILINGS = [
    Tiling(margin=0, blend=0, stride=1),
    Tiling(margin=3, blend=4, stride=4),
    Tiling(margin=4, blend=0, stride=8),
    Tiling(margin=1, blend=11, stride=3),
]


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("length", [1, 15, 16, 17, 24, 63, 64, 200])
def test_tiles_cover_the_image(tiling, length):
    starts = tiling.starts(16, length).numpy()
    assert starts[0] == 0
    np.testing.assert_array_equal(starts % tiling.stride, 0)
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= 16 - 2 * tiling.margin - tiling.blend).all()
    assert length <= starts[-1] + 16
    if length <= 16:
        assert len(starts) == 1
    else:
        assert starts[-1] + 16 < length + tiling.stride


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("length", [10, 24, 63, 200])
def test_weights_add_up_to_1_and_are_0_in_the_margin(tiling, length):
    starts = tiling.starts(16, length)
    weights = tiling.weights(16, starts).numpy()
    total = np.zeros(int(starts[-1]) + 16)
    for start, row in zip(starts.numpy(), weights, strict=True):
        total[start : start + 16] += row
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)
    margin = tiling.margin
    np.testing.assert_array_equal(weights[1:, :margin], 0.0)
    np.testing.assert_array_equal(weights[:-1, 16 - margin :], 0.0)
    assert weights[0, 0] == weights[-1, -1] == 1.0
    # None jumps by more than the ramp: no seam.
    if tiling.blend:
        inside = np.diff(weights, axis=1)
        assert np.abs(inside).max() < 1.0


def test_a_ramp_by_hand():
    weights = Tiling(margin=1, blend=2, stride=1).weights(8, tf.constant([0, 4])).numpy()
    third = 1 / 3
    np.testing.assert_allclose(weights[0], [1, 1, 1, 1, 1, 2 * third, third, 0], rtol=1e-6)
    np.testing.assert_allclose(weights[1], [0, third, 2 * third, 1, 1, 1, 1, 1], rtol=1e-6)


def test_overlap_add_equals_the_loop(rng):
    starts = np.array([0, 3, 5, 6, 12], "int32")
    pieces = rng.normal(size=(5, 7, 2, 3)).astype("float32")
    expected = np.zeros((19, 2, 3))
    for start, piece in zip(starts, pieces, strict=True):
        expected[start : start + 7] += piece
    given, begun = tf.constant(pieces), tf.zeros((7, 2, 3))

    def added(starts):
        return overlap_add(lambda i: tf.gather(given, i), starts, begun)

    for call in (added, tf.function(added)):
        np.testing.assert_allclose(call(tf.constant(starts)), expected, atol=1e-6)


def test_defaults_are_shares_of_the_tile_and_go_through_a_card():
    tiling = Tiling().of_tile((512, 256))
    assert tiling == Tiling(margin=24, blend=16, stride=32)
    assert (tiling.step(256), tiling.step(512)) == (192, 448)
    assert Tiling.from_dict(tiling.to_dict()) == tiling
    # A radius of an eighth of a tile leaves three quarters of each side, as the default does.
    assert Tiling().of_tile((512, 256), radius=32) == Tiling(margin=32, blend=0, stride=32)
    assert Tiling().of_tile((512, 256), radius=33) == tiling
    assert Tiling(margin=0, blend=5).of_tile((64, 64)) == Tiling(margin=0, blend=5, stride=32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"margin": -1}, "`margin` must be an integer of at least 0, got -1"),
        ({"blend": 1.5}, "`blend` must be an integer of at least 0, got 1.5"),
        ({"stride": 0}, "`stride` must be an integer of at least 1, got 0"),
        ({"stride": None}, "`stride` must be an integer of at least 1, got None"),
    ],
)
def test_settings_are_checked(options, said):
    with pytest.raises(ValueError, match=said):
        Tiling(**options)


def test_tiles_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="Tiles of 96 x 32 are too small: with a `margin` of 3"):
        Tiling().of_tile((96, 32))
