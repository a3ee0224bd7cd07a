import keras
import numpy as np
import pytest

from kerakit.layers import StandardizeByExample


@pytest.mark.parametrize("shape", [(3, 4, 5, 1), (2, 3, 4, 5, 3)])
@pytest.mark.parametrize("known", [True, False])
def test_equals_the_loop(shape, known, rng):
    clips = rng.uniform(0, 255, shape).astype("float32")
    expected = np.stack([(clip - clip.mean()) / clip.std() for clip in clips])
    source = keras.Input(shape[1:] if known else (None,) * (len(shape) - 2) + shape[-1:])
    model = keras.Model(source, StandardizeByExample()(source))
    found = model.predict(clips, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_plain_clip_becomes_zero_and_one_grey_level_is_not_blown_up():
    clips = np.full((2, 2, 5, 5, 2), 7.0, "float32")
    clips[1, 0, 0, 0, 0] += 0.01
    found = np.asarray(StandardizeByExample()(clips))
    assert np.all(found[0] == 0)
    # deviation 0.001, which is below 1 / sqrt(100)
    np.testing.assert_allclose(found[1, 0, 0, 0, 0], 0.01 * 0.99 * 10, rtol=1e-3)


def test_brightness_and_contrast_do_not_count(rng):
    clips = rng.uniform(0, 100, (2, 3, 4, 5, 1)).astype("float32")
    layer = StandardizeByExample()
    np.testing.assert_allclose(layer(clips), layer(clips * 2 + 50), rtol=1e-4, atol=1e-5)


def test_images_are_needed():
    with pytest.raises(ValueError, match=r"`images` must be \(B, H, W, C\) .* got shape \(2, 3\)"):
        StandardizeByExample()(np.zeros((2, 3), "float32"))
