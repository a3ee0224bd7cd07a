import json
import shutil

import keras
import numpy as np
import pytest

from kerakit import export
from kerakit.export.verification import _judge
from tests.export.tiny import many, save_tiny, tiny_model


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "1")


def test_an_export_is_its_model(copy, model):
    result = export.verify(copy.parent, model, images=many(19))
    assert result.passed
    assert result.worst <= result.tolerance == 1e-5  # its norm stands behind a ReLU
    checks = ["1 image", "3 images", "17 images", "1 x 1 image", "black image"]
    checks += ["given images from 0", "given images from 17"]
    signatures = ["serving_default", "tensors"]
    assert list(result.differences) == [f"{c} / {s}" for c in checks for s in signatures]
    assert result.refusals["empty file"].startswith("is not a JPEG, PNG, GIF or BMP image")
    assert result.refusals["text"].startswith("is not a JPEG, PNG, GIF or BMP image")
    assert "Invalid JPEG data" in result.refusals["half a JPEG"]
    written = card_of(copy)["verification"]
    assert written["passed"] is True
    assert written["worst"] == result.worst
    assert written["differences"] == result.differences


def test_only_folded_norms_allow_for_their_rounding(tmp_path):
    images = keras.Input((12, 16, 3), name="images")
    x = keras.layers.Conv2D(2, 3, use_bias=False)(images)
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(x))
    model = keras.Model(images, keras.layers.Dense(3)(x))
    folder = save_tiny(model, tmp_path)
    assert card_of(folder)["folded"] is True
    assert export.verify(folder, model).tolerance == 1e-4


def test_another_models_export_fails(copy):
    other = tiny_model()
    kernel = other.get_layer("head").kernel
    kernel.assign(np.asarray(kernel) * 1.001)
    with pytest.raises(
        export.VerificationError, match=r"largest difference is \S+, in \w+ of .* / "
    ):
        export.verify(copy, other)
    written = card_of(copy)["verification"]
    assert written["passed"] is False
    assert 1e-5 < written["worst"] < 1e-2


def test_a_damaged_export_fails(copy, model):
    (copy / "variables" / "variables.index").unlink()
    with pytest.raises(
        export.VerificationError, match="cannot be run by TensorFlow alone: .*ariables"
    ):
        export.verify(copy, model)
    assert card_of(copy)["verification"]["passed"] is False


def test_what_is_taken_for_an_image_fails():
    worst, finding = _judge({"1 image / tensors": {"logits": 0.0}}, {"text": None})
    assert worst == np.inf
    assert finding == "it took text for an image instead of refusing it"
