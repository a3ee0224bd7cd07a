"""The diagnosis of a run's folder, finished or broken off."""

import json
import pathlib
from dataclasses import dataclass

from kerakit.diagnose.during import during_training
from kerakit.diagnose.finding import Diagnosis
from kerakit.diagnose.watched import Watched, read_looks, read_rows
from kerakit.errors import InputError

CONFIG, LOG, LOOKS, REPORT = "config.json", "log.csv", "watch.csv", "report.json"


@dataclass(frozen=True)
class RunRead:
    """What the folder of a run says.

    Args:
        folder: The folder.
        command: The command line it was started by, or "".
        finished: Whether it came to its end: it has a report.
        watched: `Watched`, the figures.
        diagnosis: `Diagnosis` of them.
    """

    folder: pathlib.Path
    command: str
    finished: bool
    watched: Watched
    diagnosis: Diagnosis

    def __str__(self):
        epochs, steps = len(self.watched.epochs), self.watched.steps
        length = f"{epochs} epoch{'' if epochs == 1 else 's'}"
        length += f", {steps} steps" if steps else ""
        end = "finished" if self.finished else "not finished (no report.json)"
        lines = [f"{self.folder}: {end}, {length}"]
        lines += [f"    {self.command}"] * bool(self.command)
        if not self.watched.looks:
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
        InputError: If there is no such folder, it is no run's, or a file of it is damaged.
    """
    folder = _found(folder)
    rows = _of_file(folder / LOG, lambda path: read_rows(path, needed=("epoch",)), ())
    looks = _of_file(folder / LOOKS, read_looks, ())
    if not rows and not looks:
        raise InputError(
            f"{folder} has neither {LOG} nor {LOOKS} with anything in it: it is no run's folder, "
            "or the run ended before its first step."
        )
    record = _of_file(folder / CONFIG, lambda path: json.loads(path.read_text("utf-8")), {})
    command = record.get("command", "") if isinstance(record, dict) else ""
    watched = Watched(tuple(looks), tuple(rows))
    finished = (folder / REPORT).is_file()
    return RunRead(folder, command, finished, watched, during_training(watched))


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
    except (ValueError, OSError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
