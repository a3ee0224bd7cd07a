"""savedmodels/ over HTTP, by real files: its answers are those of `kerakit predict`."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.data.clip_cache import JPEG_QUALITY, SHORT_SIDE
from kerakit.data.digits import load_digits
from kerakit.data.video_file import read_video
from kerakit.export import Served
from tests.serve.client import b64, serving

FOLDER = pathlib.Path(__file__).parents[2] / "savedmodels"
FILES = {  # digits come with kerakit
    "blood-cells": "detection-bccd/images/val/*.jpg",
    "nuclei": "instance-nuclei/images/val/*",
    "tissue": "semantic-nuclei-stained/images/val/*.jpg",
    "motion": "video-motion-direction-ir/val/*/*.mp4",
}
COUNT = 5


@pytest.fixture(scope="module")
def shipped():
    if not FOLDER.is_dir():
        pytest.skip("there are no models in this checkout")
    with serving(FOLDER) as client:
        yield client


@pytest.fixture(params=["digits", *FILES])
def name(request, shipped):
    if request.param not in shipped.service.repository.served():
        pytest.skip(f"savedmodels/{request.param} is not in this checkout")
    return request.param


def encoded(image, kind):
    written = io.BytesIO()
    image.save(written, kind)
    return written.getvalue()


def digits():
    source = load_digits().val_source
    return [source.encoded(number).numpy() for number in range(COUNT)]


def contents(files, served):
    """What is sent for each file; of images also one at an odd size, upright and turned."""
    if served.sampling is None:
        sent = [file.read_bytes() for file in files] or digits()
        odd = Image.open(io.BytesIO(sent[0])).convert("RGB").resize((211, 173))
        return [*sent, encoded(odd, "PNG"), encoded(odd.rotate(90, expand=True), "JPEG")]
    clips = []
    for file in files:
        frames = read_video(file, frame_rate=served.frame_rate, short_side=SHORT_SIDE).frames
        (window,) = served.sampling.even(len(frames), clips=1).numpy()
        clips.append([tf.io.encode_jpeg(frames[n], quality=JPEG_QUALITY).numpy() for n in window])
    return clips


@pytest.mark.slow
def test_answers_are_those_of_predict(name, shipped, packs):
    served = Served(FOLDER / name)
    files = sorted(packs.glob(FILES[name]))[::3][:COUNT] if name in FILES else []
    assert len(files) == (COUNT if name in FILES else 0)
    sent = contents(files, served)
    rows = [b64(one) if isinstance(one, bytes) else [*map(b64, one)] for one in sent]
    status, content = shipped.predict({"instances": rows}, name)
    assert status == 200, content
    expected = list(served.answer(sent))
    assert len(content["predictions"]) == len(expected) == len(sent)
    for row, wanted in zip(content["predictions"], expected, strict=True):
        assert set(row) == set(wanted)
        for output, value in wanted.items():
            found, value = np.array(row[output]), np.array(value)
            if value.dtype.kind == "f":
                assert found.shape == value.shape
                tolerance = 0.1 if output == "boxes" else 1e-4
                assert np.abs(found - value).max(initial=0) <= tolerance, output
            elif value.dtype.kind in "OS":
                flat = [text.decode() for text in np.ravel(value)]
                assert np.ravel(found).tolist() == flat, output
            else:
                np.testing.assert_array_equal(found, value, err_msg=output)
