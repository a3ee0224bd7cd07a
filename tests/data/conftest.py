"""Image files as cameras, editors and accidents make them."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def photo():
    """A smooth colour picture (30, 43, 3) with no symmetry."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return np.asarray(small.resize((43, 30), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def file_of():
    """Function of an array or Pillow image and a format that gives the file's bytes."""

    def encode(image, kind, **options):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def pillow():
    """Function of a file's bytes that gives the picture as Pillow shows it over white."""

    def read(data):
        from PIL import ImageOps

        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))

    return read
