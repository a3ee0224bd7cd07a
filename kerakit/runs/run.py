"""A run: one folder with all that one training leaves."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import shlex
import sys
import tempfile
import time

import keras

from kerakit.atomic import replaced
from kerakit.callbacks import EarlyStopping, GradientClipping
from kerakit.cost import report
from kerakit.diagnose.watch import Watch
from kerakit.errors import InputError
from kerakit.extras import need
from kerakit.training import BestModel, EpochLog, EvaluateAverages, place_among_workers

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

CONFIG, REPORT, STATE, LOCK = "config.json", "report.json", "state.ckpt", ".lock"
BY_SETTING = {
    "ema": lambda momentum: EvaluateAverages(),
    "clip_norm": lambda norm: GradientClipping(norm=norm),
    "patience": lambda epochs: EarlyStopping(patience=epochs),
}


class Run:
    """Opens the folder of a run: a new one, or the unfinished one of the same settings.

    `<workdir>/<name>` is taken if it is free or holds a run of these settings and data that was
    stopped before its end (which then goes on) and that no other process is at; otherwise
    `<name>-2`, `<name>-3` ... The folder holds

    - `config.json`: the settings and the command;
    - `log.csv`, `tensorboard/`: the figures of each epoch;
    - `watch.csv`, `diagnosis.json`: looks at the model while it trains, and what is wrong;
    - `state.ckpt`: where to go on; `best.keras`: the best model so far;
    - after the end: `report.md`, `report.json`, pictures, sample images and
      `savedmodel/<version>/`.

    Args:
        config: Dataclass of settings, among them `workdir`.
        name: Name of the run.
        data: `kerakit.data.Data` that it learns from.
        monitor: Figure by which the best epoch is chosen.
        mode: `"max"` or `"min"`: which is better.

    Attributes:
        folder: `pathlib.Path` of the folder.
        data: The data.
        command: The command line, as a user would type it.
        settings: The settings as a dict of plain values.
        log: `EpochLog` with the figures so far.
        watch: `kerakit.diagnose.Watch` of the training, once `callbacks` was asked for, or None.
        resumed: Whether an unfinished run goes on.
        is_chiefs: Whether this is the run that is to stay. Each of several workers has one, which
            keeps them in step; those of all but the chief are for nothing, and removed.

    Raises:
        InputError: If the folder cannot be made or written, or the name is no folder's.
    """

    def __init__(self, config, *, name, data, monitor, mode="max"):
        need("tensorboard", extra="recipes")
        if name in ("", ".", "..") or "/" in name or "\\" in name or len(name) > 200:
            raise InputError(f"--name {name} must be the name of one folder, without slashes.")
        if not config.workdir:
            raise InputError("--workdir must name a folder, got an empty text.")
        self.data = data
        self.command = _command()
        self.settings = json.loads(json.dumps(dataclasses.asdict(config)))
        record = {
            "settings": self.settings,
            "data": {
                "classes": list(data.classes),
                "train": data.train_source.size,
                "val": data.val_source.size,
            },
        }
        workdir = pathlib.Path(config.workdir)
        self.is_chiefs = place_among_workers()[0] == 0
        if not self.is_chiefs:
            self._spare = tempfile.TemporaryDirectory()
            workdir = pathlib.Path(self._spare.name)
        self.folder, self._lock, self.resumed = _open_folder(workdir, name, record)
        if not self.resumed:
            with replaced(self.folder / CONFIG) as file:
                file.write_text(json.dumps({**record, "command": self.command}, indent=2) + "\n")
        self.log = EpochLog(self.folder / "log.csv")
        self.watch = None
        self._stages, self._seconds = [], 0.0
        self.best = BestModel(self.folder / "best.keras", monitor=monitor, mode=mode)
        self.state = self.folder / STATE
        verb = "Going on with" if self.resumed else "Writing to"
        print(f"{verb} {self.folder}", flush=True)

    def callbacks(self, *more, keep_best=True):
        """The callbacks of every run, and before them those that the settings ask for.

        They are asked for by `ema`, `clip_norm` and `patience`, unless 0 or not there.

        Args:
            *more: Further callbacks of this run.
            keep_best: Whether the model that is trained is the run's, to be kept when best.
        """
        board = _BoardOfEpochs(self.folder / "tensorboard", write_graph=False)
        asked_for = [
            make(self.settings[name])
            for name, make in BY_SETTING.items()
            if self.settings.get(name)
        ]
        self.best.averaged = bool(self.settings.get("ema"))
        best = [self.best] if keep_best else []
        self.watch = Watch(folder=self.folder)
        return [*asked_for, *more, self.watch, self.log, *best, board]

    def stage(self, name):
        """A log of what is trained before the main part, such as a new last layer alone.

        Args:
            name: Of the stage; its figures come into `<name>.csv`.

        Returns:
            `EpochLog`, to be used as a callback.
        """
        self._stages.append(EpochLog(self.folder / f"{name}.csv"))
        return self._stages[-1]

    @contextlib.contextmanager
    def timed(self):
        """What happens within this counts as training time, besides the epochs."""
        start = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - start

    def seconds(self):
        """Training time: of all epochs, and of what was timed since the run went on last."""
        rows = [row for log in (self.log, *self._stages) for row in log.rows]
        return self._seconds + sum(row["seconds"] for row in rows)

    def introduce(self, title, model, *, input_shape=None):
        """Says what the model costs, and from how much it learns."""
        train, val, classes = self.data.train_source, self.data.val_source, self.data.classes
        kind = "videos" if self.data.task == "video" else "images"
        print(f"{title}: {report(model, input_shape).line()}")
        print(
            f"{train.size} {kind} to learn from, {val.size} held out, {len(classes)} classes",
            flush=True,
        )

    def close(self):
        """Leaves the folder to others; the end of the process does so too."""
        self._lock.close()


def place(source):
    """The last name in a source of data, for the name of a run: `folder:a/photos` -> `photos`."""
    return source.rpartition(":")[2].strip("/").rpartition("/")[2].removesuffix(".csv")


def _command():
    """The command line of this process, as a user would type it."""
    package = pathlib.Path(sys.argv[0])
    arguments = shlex.join(sys.argv[1:])
    if package.suffix == ".py" and (package.parent / "__init__.py").exists():
        module = package.parent.name + ("" if package.stem == "__main__" else f".{package.stem}")
        return f"python -m {module} {arguments}".strip()
    return f"{package.name} {arguments}".strip()


def _open_folder(workdir, name, record):
    """The first folder of `name`, `name-2` ... that is free or can be gone on with."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        while True:
            folder = workdir / next(names)
            # A lock alone is left where a process was killed before it wrote anything.
            new = not folder.exists() or all(file.name == LOCK for file in folder.iterdir())
            stopped = not (folder / REPORT).exists() and _record_of(folder) == record
            if new or stopped:
                folder.mkdir(exist_ok=True)
                lock = _lock(folder)
                if lock:
                    return folder, lock, stopped
    except OSError as error:
        raise InputError(
            f"--workdir {workdir} cannot be written ({error.strerror}); choose another folder."
        ) from error


def _lock(folder):
    """An open file by which this process holds the folder; None if another one does."""
    file = open(folder / LOCK, "w")  # noqa: SIM115  (held as long as the run)
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
    return file


def _record_of(folder):
    try:
        record = json.loads((folder / CONFIG).read_text())
        return {"settings": record["settings"], "data": record["data"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _BoardOfEpochs(keras.callbacks.TensorBoard):
    """Keras's, without the records that it makes of each batch's figures to throw them away."""

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch)
