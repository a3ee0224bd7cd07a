"""Versions that come and go, with a loader that reads a file."""

import gc
import logging
import shutil
import threading
import time
import weakref

import pytest

from kerakit.errors import InputError
from kerakit.export.folder import written_whole
from kerakit.serve.protocol import Refusal
from kerakit.serve.repository import Repository


class Loaded:
    def __init__(self, name, number, text):
        self.name, self.number, self.text = name, number, text


@pytest.fixture
def loads():
    """What was loaded: (name, number), in order."""
    return []


@pytest.fixture
def open_repository(loads):
    def load(name, number, folder):
        loads.append((name, number))
        text = (folder / "saved_model.pb").read_text()
        if text == "bad":
            raise InputError(f"{folder} is a damaged SavedModel (bad); export the model again.")
        if text == "fault":
            raise RuntimeError("a fault")
        return Loaded(name, number, text)

    return lambda directory: Repository(directory, load=load, poll_seconds=60)


def write(folder, text="good"):
    with written_whole(folder) as place:
        (place / "saved_model.pb").write_text(text)


def status(repository, name="a"):
    return {n: state for n, (state, _) in repository.states(name).items()}


def test_the_newest_version_of_each_model(tmp_path, open_repository, loads):
    for place in ("a/1", "a/2", "a/10", "b/00000123", ".hidden/1", "notes/old"):
        write(tmp_path / place)
    (tmp_path / "README.md").write_text("no model")
    repository = open_repository(tmp_path)
    repository.look()
    assert loads == [("a", 10), ("b", 123)]
    assert {name: v.number for name, v in repository.served().items()} == {"a": 10, "b": 123}
    assert repository.version("a") is repository.version("a", 10)
    for number in (2, 11):
        with pytest.raises(Refusal, match=rf"not found for request: Specific\(a, {number}\)"):
            repository.version("a", number)
    repository.look()
    assert len(loads) == 2  # nothing is new


@pytest.mark.parametrize(
    ("given", "name", "number"), [("a", "a", 2), ("a/1", "a", 1), ("a/named", "named", 1)]
)
def test_a_model_or_a_version_by_itself(given, name, number, tmp_path, open_repository):
    for place in ("a/1", "a/2", "a/named"):
        write(tmp_path / place)
    repository = open_repository(tmp_path / given)
    repository.look()
    assert {n: v.number for n, v in repository.served().items()} == {name: number}


def test_the_working_directory_has_a_name(tmp_path, open_repository, monkeypatch):
    write(tmp_path / "a" / "1")
    monkeypatch.chdir(tmp_path / "a")
    repository = open_repository(".")
    repository.look()
    assert list(repository.served()) == ["a"]


def test_a_new_version_takes_over_and_the_old_is_gone_with_its_requests(tmp_path, open_repository):
    write(tmp_path / "a" / "1")
    repository = open_repository(tmp_path)
    repository.look()
    in_use = repository.version("a")
    gone = weakref.ref(in_use)
    write(tmp_path / "a" / "2")
    repository.look()
    assert repository.version("a").number == 2
    assert status(repository) == {1: "END", 2: "AVAILABLE"}
    assert gone() is in_use
    del in_use
    gc.collect()
    assert gone() is None


def test_a_new_version_is_ready_before_it_takes_over(tmp_path):
    write(tmp_path / "a" / "1")
    seen = []

    def load(name, number, folder):
        served = repository.served().get("a")
        seen.append((served and served.number, status(repository)[number]))
        return Loaded(name, number, "")

    repository = Repository(tmp_path, load=load, poll_seconds=60)
    repository.look()
    write(tmp_path / "a" / "2")
    repository.look()
    assert seen == [(None, "LOADING"), (1, "LOADING")]


@pytest.mark.parametrize(("text", "logged"), [("bad", "(bad)"), ("fault", "a fault")])
def test_a_corrupt_version_is_told_once_and_the_old_one_serves_on(
    text, logged, tmp_path, open_repository, loads, caplog
):
    write(tmp_path / "a" / "1")
    repository = open_repository(tmp_path)
    repository.look()
    write(tmp_path / "a" / "2", text)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            repository.look()
    assert loads == [("a", 1), ("a", 2)]
    assert repository.version("a").number == 1
    states = repository.states("a")
    assert states[1] == ("AVAILABLE", "")
    assert states[2][0] == "END"
    assert logged in states[2][1]
    assert str(tmp_path) not in states[2][1]
    (record,) = caplog.records
    assert "a: version 2 cannot be loaded" in record.getMessage()
    # A fault of the program keeps its traceback in the log.
    assert bool(record.exc_info) == (text == "fault")

    (tmp_path / "a" / "2" / "saved_model.pb").write_text("mended")
    repository.look()
    assert repository.version("a").text == "mended"
    assert repository.states("a")[2] == ("AVAILABLE", "")


def test_at_the_start_an_older_version_stands_in_for_a_corrupt_one(tmp_path, open_repository):
    write(tmp_path / "a" / "1")
    write(tmp_path / "a" / "2", "bad")
    repository = open_repository(tmp_path)
    repository.look()
    assert repository.version("a").number == 1
    assert status(repository) == {1: "AVAILABLE", 2: "END"}


def test_a_version_removed_gives_place_to_the_one_before(tmp_path, open_repository):
    for number in (1, 2):
        write(tmp_path / "a" / str(number))
    write(tmp_path / "b" / "1")
    repository = open_repository(tmp_path)
    repository.look()
    shutil.rmtree(tmp_path / "a" / "2")
    repository.look()
    assert repository.version("a").number == 1
    assert status(repository) == {1: "AVAILABLE"}
    shutil.rmtree(tmp_path / "a")
    repository.look()
    assert list(repository.served()) == ["b"]
    with pytest.raises(Refusal, match=r"^Servable not found for request: Latest\(a\)"):
        repository.version("a")
    with pytest.raises(Refusal, match="Could not find any versions of model a"):
        repository.states("a")
    write(tmp_path / "c" / "1")
    repository.look()
    assert sorted(repository.served()) == ["b", "c"]


def test_a_corrupt_model_alone(tmp_path, open_repository):
    write(tmp_path / "a" / "1", "bad")
    repository = open_repository(tmp_path)
    repository.look()
    with pytest.raises(Refusal, match="Servable not found") as caught:
        repository.version("a")
    assert caught.value.status == 404


def test_while_it_is_loaded_a_model_is_to_be_waited_for(tmp_path):
    write(tmp_path / "a" / "1")
    may_load = threading.Event()

    def load(name, number, folder):
        assert may_load.wait(10)
        return Loaded(name, number, "")

    repository = Repository(tmp_path, load=load, poll_seconds=0.01)
    repository.start()
    try:
        for number in (None, 1):
            with pytest.raises(Refusal, match="a is being loaded; try again") as caught:
                repository.version("a", number)
            assert caught.value.status == 503
        assert set(status(repository).values()) <= {"START", "LOADING"}
        assert not repository.looked.is_set()
        may_load.set()
        assert repository.looked.wait(10)
        assert repository.version("a").number == 1
    finally:
        may_load.set()
        assert repository.stop(seconds=10)


def test_a_look_that_fails_is_not_the_last(tmp_path, open_repository, monkeypatch, caplog):
    write(tmp_path / "a" / "1")
    repository = open_repository(tmp_path)
    repository._poll_seconds = 0.01
    find, calls = repository._find, []

    def fails_once():
        calls.append(1)
        if len(calls) == 2:
            raise PermissionError(13, "Permission denied")
        return find()

    repository._find = fails_once
    repository.start()
    assert repository.looked.wait(10)
    while len(calls) < 4:
        time.sleep(0.01)
    assert repository.stop(seconds=10)
    assert "Could not look for models" in caplog.text
    assert repository.version("a").number == 1


def test_no_model(tmp_path, open_repository):
    with pytest.raises(InputError, match="nowhere is no folder; give a folder of models"):
        open_repository(tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match="holds no model: neither it nor a folder in it has"):
        open_repository(tmp_path)
