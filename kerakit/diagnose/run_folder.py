"""The diagnosis of a run's folder, finished or broken off."""

import csv
import json
import pathlib
from dataclasses import dataclass

from kerakit.diagnose.during import during_training
from kerakit.diagnose.finding import Diagnosis
from kerakit.diagnose.watched import Watched, read_looks, read_rows
from kerakit.errors import InputError

CONFIG, REPORT = "config.json", "report.json"
LOG, EPOCHS, LOOKS = "log.csv", "epochs.csv", "watch.csv"


@dataclass(frozen=True)
class RunRead:
    """What the folder of a run says.

    Args:
        folder: The folder.
        command: The command line it was started by, or "".
        finished: Whether it came to its end: it has a report.
        watched: `Watched`, the figures.
        diagnosis: `Diagnosis` of them.
        damaged: Why the looks at the training could not be read, or "".
    """

    folder: pathlib.Path
    command: str
    finished: bool
    watched: Watched
    diagnosis: Diagnosis
    damaged: str = ""

    def __str__(self):
        epochs, steps = len(self.watched.epochs), self.watched.steps
        length = f"{epochs} epoch{'' if epochs == 1 else 's'}"
        length += f", {steps} steps" if steps else ""
        end = "finished" if self.finished else "not finished (no report.json)"
        lines = [f"{self.folder}: {end}, {length}"]
        lines += [f"    {self.command}"] * bool(self.command)
        if self.damaged:
            lines.append(f"{self.damaged.rstrip('.')}. The curves alone are judged.")
        elif not self.watched.looks:
            lines.append(f"No {LOOKS}: the curves alone are judged.")
        return "\n".join([*lines, str(self.diagnosis)])

    def to_dict(self):
        """Dict of plain values, for JSON."""
        return {
            "folder": str(self.folder),
            "command": self.command,
            "finished": self.finished,
            "epochs": len(self.watched.epochs),
            "steps": self.watched.steps,
            "damaged": self.damaged,
            **self.diagnosis.to_dict(),
        }


def read_run(folder):
    """Reads the folder of a run and says what is wrong with its training.

    Args:
        folder: The folder, or the name of a run in `runs`. It holds `log.csv`, `watch.csv` or
            both.

    Returns:
        A `RunRead`.

    Raises:
        InputError: If there is no such folder, it is no run's, or what is there is damaged; with
            good curves, damaged looks are left out and told.
    """
    folder = _found(folder)
    log = folder / (LOG if (folder / LOG).is_file() else EPOCHS)
    rows = _of_file(log, lambda path: read_rows(path, needed=("epoch",)), ())
    looks, damaged = (), ""
    try:
        looks = _of_file(folder / LOOKS, read_looks, ())
    except InputError as error:
        if not rows:
            raise
        damaged = str(error)
    if not rows and not looks:
        raise InputError(
            f"{folder} has neither {LOG} nor {LOOKS} with anything in it: it is no run's folder, "
            "or the run ended before its first steps were seen."
        )
    command = _command(folder / CONFIG)
    watched = Watched(tuple(looks), tuple(rows))
    # A training without a recipe leaves no report.
    finished = (folder / REPORT).is_file() or not (folder / CONFIG).is_file()
    return RunRead(folder, command, finished, watched, during_training(watched), damaged)


def _found(folder):
    given = pathlib.Path(folder)
    for candidate in (given, pathlib.Path("runs") / given):
        if candidate.is_dir():
            return candidate
    beside = sorted(path.name for path in pathlib.Path("runs").glob("*") if path.is_dir())
    there = f"; runs has {', '.join(beside[:20])}" if beside else ""
    raise InputError(f"{folder} is no folder, and neither is runs/{folder}{there}.")


def _of_file(path, read, missing):
    if not path.is_file():
        return missing
    try:
        return read(path)
    except (ValueError, OSError, TypeError, KeyError, OverflowError, csv.Error) as error:
        why = str(error).removeprefix(f"{path} ")
        raise InputError(f"{path} cannot be read: {why}") from error


def _command(config):
    """The command line that a run was started by, or "" where that is not to be had."""
    try:
        return str(json.loads(config.read_text("utf-8"))["command"])
    except (ValueError, OSError, TypeError, KeyError):
        return ""
