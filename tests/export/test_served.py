import shutil

import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.export import Served
from tests.export.tiny import encoded, many


def test_one_bad_image_does_not_spoil_the_others(exported):
    served = Served(exported.parent)
    good = many(5)
    files = [*good[:2], b"text", *good[2:4], good[0][:200], good[4]]
    alone = [next(served.answer([file])) for file in good]
    for size in (1, 3, 100):
        answers = list(served.answer(iter(files), batch_size=size))
        assert str(answers[2]).startswith("is not a JPEG, PNG, GIF or BMP image: it has 4 bytes")
        assert str(answers[5]).startswith("is damaged or cut short (")
        assert isinstance(answers[2], InputError)
        for expected, answer in zip(alone, answers[:2] + answers[3:5] + answers[6:], strict=True):
            np.testing.assert_allclose(
                answer["probabilities"], expected["probabilities"], rtol=0, atol=1e-6
            )
            assert answer["class_name"] == expected["class_name"]


def test_reads_no_further_than_a_batch(exported):
    read = []

    def files():
        for number in range(10):
            read.append(number)
            yield encoded(4, 4)

    answers = Served(exported).answer(files(), batch_size=3)
    next(answers)
    assert read == [0, 1, 2]


def test_the_newest_version_is_taken(exported, tmp_path):
    for version in ("2", "10"):
        shutil.copytree(exported, tmp_path / version)
    (tmp_path / "11").mkdir()  # has no SavedModel
    assert Served(tmp_path).folder == tmp_path / "10"


def test_no_savedmodel(exported, tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere does not exist; give the folder of a SavedModel"
    ):
        Served(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a SavedModel: neither it nor a numbered folder"):
        Served(tmp_path)


def test_damaged(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "1")
    (folder / "saved_model.pb").write_bytes(b"\x08\x01 no graph")
    with pytest.raises(
        InputError, match=r"1 is a damaged SavedModel \(.*\); export the model again"
    ):
        Served(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match=r"card.json cannot be read \(Expecting property name"):
        Served(folder)
    (folder / "card.json").unlink()
    with pytest.raises(InputError, match=r"has no card.json, so it was not written by kerakit"):
        Served(folder)


def test_batch_size(exported):
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        next(Served(exported).answer([b""], batch_size=0))


def test_to_explain_it_says_first_that_a_detector_is_no_classifier(exported):
    served = Served(exported)
    served.card = {**served.card, "task": "detection"}
    with pytest.raises(InputError, match="--explain is for classifiers, and .* is for detection"):
        next(served.answer([encoded(3, 3)], explain=True))
