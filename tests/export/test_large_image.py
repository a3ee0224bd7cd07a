"""An image of 12 million pixels: answered whole, in memory that does not grow with the network."""

import json
import subprocess
import sys

import keras
import pytest

from kerakit import export
from kerakit.data import Preparation
from kerakit.models.segmentation import unet
from tests.export.segmenters import CLASSES

_ASK = """
import json, sys
import numpy as np
import tensorflow as tf

answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

def ask(height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    answered = answer(image_bytes=tf.io.encode_png(pixels, compression=1)[None])
    return [answered[name].shape.as_list() for name in ("mask", "probabilities")]

small, before = ask(255, 257), peak()
large, after = ask(3000, 4000), peak()
print(json.dumps({"small": small, "large": large, "mebibytes": after - before}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory_is_that_of_a_tile_and_the_answer(tmp_path):
    """U-Net of 16 filters keeps 1.5 GiB of maps of the whole image at its first level alone."""
    keras.utils.set_random_seed(0)
    model = unet(
        input_shape=(None, None, 3), num_classes=3, padding="same", width=0.25,
        normalization="imagenet", batch_normalization=True,
    )  # fmt: skip
    folder = export.save(
        model, tmp_path / "unet", preparation=Preparation(height=512, width=512, fit="pad"),
        classes=CLASSES, task="segmentation",
    )  # fmt: skip
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(folder)], capture_output=True, text=True, check=True
    )
    told = json.loads(asked.stdout)
    print(f"{told['mebibytes']:.0f} MiB above the loaded model")
    assert told["small"] == [[1, 255, 257], [1, 255, 257, 3]]
    assert told["large"] == [[1, 3000, 4000], [1, 3000, 4000, 3]]
    answer = 3000 * 4000 * 3 * 4 / 2**20
    assert told["mebibytes"] < 4 * answer + 150
