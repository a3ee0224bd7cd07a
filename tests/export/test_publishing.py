import json
import shutil

import pytest

from kerakit.errors import InputError
from kerakit.export import publish


@pytest.fixture
def run(exported, tmp_path, monkeypatch):
    """Folder runs/digits of the working directory, with version 3 verified."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "digits"
    for version in ("2", "3"):
        shutil.copytree(exported, folder / "savedmodel" / version)
    set_verification(folder / "savedmodel" / "3", {"passed": True})
    return folder


def set_verification(version, value):
    card = json.loads((version / "card.json").read_text())
    (version / "card.json").write_text(json.dumps({**card, "verification": value}))


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_copies_the_newest(run, tmp_path):
    target = publish("digits")
    assert target.resolve() == tmp_path / "savedmodels" / "digits" / "3"
    assert contents(target) == contents(run / "savedmodel" / "3")
    assert publish(run, to=tmp_path / "served", name="numbers") == tmp_path / "served/numbers/3"


def test_tells_tensorflow_serving(run, tmp_path):
    publish(run)
    publish(run, name="numbers")
    text = (tmp_path / "savedmodels" / "models.config").read_text()
    assert text.count("config {") == 2
    assert text.index('"/models/digits"') < text.index('"/models/numbers"')


def test_never_over_another(run):
    publish(run)
    with pytest.raises(InputError, match="savedmodels/digits/3 exists already; publish under"):
        publish(run)


@pytest.mark.parametrize(
    ("verification", "said"),
    [
        (None, "savedmodel/3 was never verified: run kerakit.export.verify on it first"),
        (
            {"passed": False, "finding": "it is off"},
            r"failed its verification \(it is off\), so it",
        ),
    ],
)
def test_only_what_is_verified(verification, said, run, tmp_path):
    set_verification(run / "savedmodel" / "3", verification)
    with pytest.raises(InputError, match=said):
        publish(run)
    assert not (tmp_path / "savedmodels").exists()


def test_no_run(run):
    with pytest.raises(
        InputError, match="There is no run absent: neither absent nor runs/absent is"
    ):
        publish("absent")
    (run.parent / "young").mkdir()
    with pytest.raises(
        InputError, match="runs/young has no SavedModel: its training is not finished"
    ):
        publish("young")
    with pytest.raises(InputError, match="--name a/b must be the name of one folder"):
        publish(run, name="a/b")


def test_a_failing_copy_leaves_nothing(run, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    monkeypatch.setattr("kerakit.export.publishing.shutil.copytree", lambda *a, **k: full(*a))
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); nothing"):
        publish(run)
    assert not list((tmp_path / "savedmodels").glob("*"))
