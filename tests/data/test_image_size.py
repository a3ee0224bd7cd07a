import numpy as np
import pytest
from PIL import Image

from kerakit.data import decode
from kerakit.data.image_size import encoded_size, image_sizes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_the_header_tells_what_is_decoded(kind, file_of, photo):
    assert encoded_size(file_of(photo, kind)).numpy().tolist() == [30, 43]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_that_is_turned_has_the_size_it_is_shown_in(orientation, file_of, photo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(photo, "JPEG", exif=exif)
    np.testing.assert_array_equal(encoded_size(data), decode(data).shape[:2])
    assert encoded_size(data).numpy().tolist() == ([30, 43] if orientation < 5 else [43, 30])


def test_large_sides_and_many_files(tmp_path):
    sizes = [(1, 70_000), (300, 2), (5, 5)]
    for number, (height, width) in enumerate(sizes):
        Image.new("L", (width, height)).save(tmp_path / f"{number}.png")
    found = image_sizes([tmp_path / f"{number}.png" for number in range(3)])
    assert found.tolist() == [list(size) for size in sizes]


def test_what_is_no_image_has_no_size():
    assert encoded_size(b"").numpy().tolist() == [0, 0]
    assert encoded_size(b"text").numpy().tolist() == [0, 0]
