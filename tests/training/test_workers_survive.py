"""A worker that is killed, or told to go, costs the job the steps since the last state alone."""

import csv
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from kerakit.training.epoch_log import TIMES

EPOCHS, LIMIT = 3, 300
COMMAND = "recipes.classify digits --workers 2 --width 0.125 --batch-size 128 --save-every 0"


def started(folder):
    """The command's process, its files in `folder`, and one more that holds what it prints."""
    flags = f"--epochs {EPOCHS} --workdir {folder} --name run".split()
    with open(folder / "printed.txt", "a") as printed:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *COMMAND.split(), *flags],
            env={**os.environ, "TF_DETERMINISTIC_OPS": "1"},
            stdout=printed,
            stderr=printed,
        )


def rows(folder):
    """The log's rows, without times."""
    with open(folder / "run" / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The log of a job that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert started(folder).wait(LIMIT) == 0
    return rows(folder)


def workers_of(launcher):
    """Process ids of the two workers, the chief first."""
    children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text()
    return sorted(int(child) for child in children.split())


def wait_for(happened, launcher):
    end = time.monotonic() + LIMIT
    while not happened():
        assert launcher.poll() is None, "the job ended too soon"
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="children are read from /proc")
@pytest.mark.parametrize(
    ("what", "index", "code", "told"),
    [
        (signal.SIGKILL, 1, 2, "Worker 2 of 2 ended with code -9; the same command goes on"),
        (signal.SIGKILL, 0, 2, "Worker 1 of 2 ended with code -9; the same command goes on"),
        (signal.SIGTERM, 1, 143, "Ended by SIGTERM"),
    ],
)
def test_the_job_goes_on(what, index, code, told, tmp_path, whole):
    log = tmp_path / "run" / "log.csv"
    launcher = started(tmp_path)
    try:
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 1, launcher)
        both = workers_of(launcher)
        os.kill(both[index], what)
        assert launcher.wait(LIMIT) == code
        assert not any(pathlib.Path(f"/proc/{worker}").exists() for worker in both)
        printed = (tmp_path / "printed.txt").read_text()
        assert told in printed
        launcher = started(tmp_path)
        assert launcher.wait(LIMIT) == 0
    finally:
        launcher.kill()
    assert "Going on with" in (tmp_path / "printed.txt").read_text().replace(printed, "", 1)
    assert rows(tmp_path) == whole  # to the last digit
    assert len(whole) == EPOCHS
    assert (tmp_path / "run" / "savedmodel" / "1" / "saved_model.pb").exists()
