import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit import export
from kerakit.data import FrameSampling, Preparation
from tests.export.segmenters import CLASSES, segmenter
from tests.export.tiny import save_tiny, tiny_model
from tests.serve.client import serving


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder of three models: of images, of clips and of masks."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(tiny_model(), folder / "tiny")
    clips = keras.Sequential(
        [keras.Input((3, 6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    export.save(
        clips,
        folder / "clips",
        preparation=Preparation(height=6, width=5),
        sampling=FrameSampling(frames=3, stride=1),
        classes=("still", "moving"),
        task="video",
    )
    export.save(
        segmenter(size=(16, 16)),
        folder / "masks",
        preparation=Preparation(height=16, width=16),
        classes=CLASSES,
        task="segmentation",
    )
    return folder


@pytest.fixture(scope="session")
def client(models):
    with serving(models) as client:
        yield client


@pytest.fixture
def png():
    def encode(height, width, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        return tf.io.encode_png(pixels).numpy()

    return encode
