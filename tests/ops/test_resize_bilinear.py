import keras
import numpy as np
import pytest

from kerakit.ops import resize_bilinear
from tests.conformance.case import compiled


def bilinear_by_loop(maps, height, width):
    def places(n, target):
        for i in range(target):
            centre = (i + 0.5) * n / target - 0.5
            low = int(np.floor(centre))
            share = centre - low
            yield min(max(low, 0), n - 1), min(max(low + 1, 0), n - 1), share

    rows = [(1 - s) * maps[:, a] + s * maps[:, b] for a, b, s in places(maps.shape[1], height)]
    maps = np.stack(rows, axis=1)
    columns = [
        (1 - s) * maps[:, :, a] + s * maps[:, :, b] for a, b, s in places(maps.shape[2], width)
    ]
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("size", [(65, 97), (24, 32), (3, 4), (4, 4), (3, 9), (2, 1)])
def test_bilinear_equals_the_loop(size, rng):
    maps = rng.normal(size=(2, 3, 4, 5)).astype("float32")
    found = resize_bilinear(maps, size)
    np.testing.assert_allclose(found, bilinear_by_loop(maps, *size), rtol=1e-5, atol=1e-6)


def test_equals_keras_where_that_is_right(rng):
    maps = rng.normal(size=(2, 9, 13, 3)).astype("float32")
    expected = keras.ops.image.resize(maps, (65, 97), data_format="channels_last")
    np.testing.assert_allclose(resize_bilinear(maps, (65, 97)), expected, rtol=1e-5, atol=1e-5)


def test_xla_answers_alike(rng):
    maps = rng.normal(size=(1, 9, 9, 1)).astype("float32")
    found = compiled(lambda x: resize_bilinear(x, (65, 33)))(maps)
    np.testing.assert_allclose(found, resize_bilinear(maps, (65, 33)), rtol=1e-5, atol=1e-6)
