import numpy as np
import pytest

from kerakit.layers import ScaleByMax


@pytest.mark.parametrize("shape", [(3, 4, 5, 1), (2, 3, 4, 5, 3)])
def test_equals_the_loop(shape, rng):
    images = rng.uniform(0, 200, shape).astype("float32")
    expected = np.stack([image / image.max() for image in images])
    np.testing.assert_allclose(ScaleByMax()(images), expected, rtol=1e-6)


def test_a_black_image_stays_black(rng):
    images = np.zeros((2, 4, 4, 3), "float32")
    images[1] = 51.0
    scaled = np.asarray(ScaleByMax()(images))
    assert np.all(scaled[0] == 0)
    np.testing.assert_allclose(scaled[1], 1.0)


def test_images_are_needed():
    with pytest.raises(ValueError, match=r"`images` must be \(B, H, W, C\) .* got shape \(2, 3\)"):
        ScaleByMax()(np.zeros((2, 3), "float32"))
