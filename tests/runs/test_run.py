import dataclasses
import json
import types

import pytest

from kerakit.errors import InputError
from kerakit.runs import Run, require


@dataclasses.dataclass(frozen=True)
class Config:
    workdir: str
    seed: int = 0
    epochs: int = 3
    size: tuple = (8, 8)


@pytest.fixture
def open_run():
    """Opens runs, and leaves all of them at the end."""
    opened = []

    def open_run(config, *, name="try", train=9):
        opened.append(Run(config, name=name, data=data_of(train), monitor="val_accuracy"))
        return opened[-1]

    yield open_run
    for run in opened:
        run.close()


def data_of(train):
    source = types.SimpleNamespace(size=train)
    return types.SimpleNamespace(classes=("a", "b"), train_source=source, val_source=source)


def test_settings_are_written(tmp_path, open_run):
    run = open_run(Config(str(tmp_path)))
    record = json.loads((run.folder / "config.json").read_text())
    assert record["settings"] == {
        "workdir": str(tmp_path), "seed": 0, "epochs": 3, "size": [8, 8],
    }  # fmt: skip
    assert record["command"] == run.command


def test_the_same_settings_go_on_with_what_was_stopped(tmp_path, open_run):
    first = open_run(Config(str(tmp_path)))
    first.close()  # as the end of its process does
    again = open_run(Config(str(tmp_path)))
    assert (first.resumed, again.resumed) == (False, True)
    assert again.folder == first.folder


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path, open_run):
    first = open_run(Config(str(tmp_path)))
    second = open_run(Config(str(tmp_path)))
    assert (first.folder.name, second.folder.name, second.resumed) == ("try", "try-2", False)


def test_a_lock_that_a_killed_process_left_takes_no_name(tmp_path, open_run):
    (tmp_path / "try").mkdir()
    (tmp_path / "try" / ".lock").touch()
    run = open_run(Config(str(tmp_path)))
    assert (run.folder.name, run.resumed) == ("try", False)


def test_other_data_are_another_run(tmp_path, open_run):
    open_run(Config(str(tmp_path))).close()
    assert open_run(Config(str(tmp_path)), train=8).folder == tmp_path / "try-2"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/absolute", "x" * 300])
def test_a_name_that_is_no_folders(tmp_path, name, open_run):
    with pytest.raises(InputError, match="--name .* must be the name of one folder"):
        open_run(Config(str(tmp_path)), name=name)
    assert not list(tmp_path.iterdir())


def test_other_settings_and_finished_runs_get_a_folder_of_their_own(tmp_path, open_run):
    first = open_run(Config(str(tmp_path)))
    other = open_run(Config(str(tmp_path), epochs=4))
    assert other.folder == tmp_path / "try-2"
    (first.folder / "report.json").write_text("{}")
    first.close()
    third = open_run(Config(str(tmp_path)))
    assert (third.folder, third.resumed) == (tmp_path / "try-3", False)


def test_a_folder_of_something_else_is_left_alone(tmp_path, open_run):
    (tmp_path / "try").mkdir()
    (tmp_path / "try" / "thesis.txt").write_text("do not touch")
    assert open_run(Config(str(tmp_path))).folder == tmp_path / "try-2"


@pytest.mark.parametrize("broken", ["file", "process files"])
def test_a_workdir_that_cannot_be_written(tmp_path, broken, open_run):
    (tmp_path / "file").write_text("")
    workdir = {"file": tmp_path / "file", "process files": "/proc/nowhere"}[broken]
    with pytest.raises(InputError, match=r"--workdir .* cannot be written \(.+\); choose another"):
        open_run(Config(str(workdir)))


def test_settings_out_of_range_are_named_by_their_flag(tmp_path):
    @dataclasses.dataclass
    class Settings:
        batch_size: int = 0
        learning_rate: float = 0.0

    with pytest.raises(InputError, match="--batch-size must be at least 1, got 0"):
        require(Settings(), at_least={"batch_size": 1})
    with pytest.raises(InputError, match="--learning-rate must be above 0, got 0"):
        require(Settings(), above={"learning_rate": 0})
    with pytest.raises(InputError, match="--batch-size must be at most -1, got 0"):
        require(Settings(), at_most={"batch_size": -1})
    with pytest.raises(InputError, match="--batch-size must be below 0, got 0"):
        require(Settings(), below={"batch_size": 0})
    with pytest.raises(InputError, match="--learning-rate must be a finite number, got nan"):
        require(Settings(learning_rate=float("nan")))
