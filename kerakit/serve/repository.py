"""The models in a folder, of which the newest versions are served as they come and go."""

import dataclasses
import gc
import logging
import threading
from pathlib import Path

from kerakit.errors import InputError
from kerakit.serve.protocol import Refusal, no_status, not_served

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _State:
    """State of a version, by TensorFlow Serving's names."""

    name: str
    error: str = ""
    files: frozenset = frozenset()  # of a version that cannot be loaded: as they were then


@dataclasses.dataclass(frozen=True)
class _Model:
    """What answers for a model, and the states of the versions that were tried."""

    served: object = None
    states: dict = dataclasses.field(default_factory=dict)

    def with_state(self, number, state):
        return dataclasses.replace(self, states={**self.states, number: state})


class Repository:
    """Loads the newest version of each model in a folder, looks again every few seconds.

    A thread of its own loads. What others read of it is replaced as a whole, so that nothing is
    locked. A version that gives place finishes its requests, which hold it, and is gone then.

    Args:
        directory: Folder whose subfolders hold numbered versions; or one of these; or a version.
        load: Function (name, number, folder) that gives a version ready to answer.
        poll_seconds: Time between two looks.

    Attributes:
        looked: `threading.Event`, set when what was there at the start is loaded.

    Raises:
        InputError: If there is no model in the folder.
    """

    def __init__(self, directory, *, load, poll_seconds):
        self._directory = Path(directory)
        self._load, self._poll_seconds = load, poll_seconds
        self._find = _layout(self._directory)
        self._models = {}
        self._stopped = threading.Event()
        self.looked = threading.Event()
        self._thread = threading.Thread(
            target=self._keep_looking, name="kerakit-serve-load", daemon=True
        )

    def start(self):
        """Starts to load."""
        # Known from the first request on, so that it is told to wait.
        self._models = {
            name: _Model().with_state(max(folders), _State("START"))
            for name, folders in self._find().items()
        }
        self._thread.start()

    def stop(self, *, seconds):
        """Ends looking; says whether it ended in time, and a version is not being loaded."""
        self._stopped.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def version(self, name, number=None):
        """The version that answers.

        Args:
            name: Name of the model.
            number: Number of a version; None for what is served.

        Raises:
            Refusal: If it is not served, or not yet.
        """
        model = self._models.get(name, _Model())
        if model.served and number in (None, model.served.number):
            return model.served
        coming = {n for n, state in model.states.items() if state.name in ("START", "LOADING")}
        if coming and (number in coming or number is None):
            raise Refusal(503, f"{name} is being loaded; try again.", {"Retry-After": "2"})
        raise not_served(name, number)

    def states(self, name, number=None):
        """(state, error message) of a model's versions, or of one, by number; or a `Refusal`."""
        states = self._models.get(name, _Model()).states
        if not states or number not in (None, *states):
            raise no_status(name, number)
        numbers = states if number is None else [number]
        return {n: (states[n].name, states[n].error) for n in numbers}

    def served(self):
        """Dict from names of models to the versions that answer."""
        return {name: model.served for name, model in self._models.items() if model.served}

    def _keep_looking(self):
        while not self._stopped.is_set():
            try:
                self.look()
            except Exception:  # such as a folder that cannot be read just now
                _LOG.exception("Could not look for models in %s; trying again", self._directory)
            self.looked.set()
            self._stopped.wait(self._poll_seconds)

    def look(self):
        """Loads what is new, and drops what is gone."""
        found, before = self._find(), self.served()
        for name in sorted({*found, *self._models}):
            self._update(name, found.get(name, {}))
        if {*before.values()} - {*self.served().values()}:
            del before
            gc.collect()  # TensorFlow's functions refer to each other, and hold the variables

    def _update(self, name, folders):
        for number in sorted(folders, reverse=True):
            model = self._models.get(name, _Model())
            if model.served and model.served.number == number:
                break
            files, state = _files(folders[number]), model.states.get(number)
            is_broken = state and state.error and state.files == files
            if not is_broken and self._loaded(name, number, folders[number], files):
                break
        else:
            self._replace(name, None)
        self._forget(name, folders)

    def _loaded(self, name, number, folder, files):
        """Loads a version and lets it answer; or tells, once, why it cannot."""
        self._note(name, number, _State("LOADING"))
        try:
            version = self._load(name, number, folder)
            # What loading leaves takes a quarter of a second, for which a request would wait.
            gc.collect()
        except Exception as error:
            _LOG.error(
                "%s: version %d cannot be loaded: %s",
                *(name, number, error),
                exc_info=not isinstance(error, InputError),
            )
            # The place on this machine is nobody's business.
            why = str(error).replace(str(folder), f"version {number}") or type(error).__name__
            self._note(name, number, _State("END", why, files))
            return False
        self._replace(name, version)
        _LOG.info("%s: version %d is served", name, number)
        return True

    def _replace(self, name, version):
        model = self._models.get(name, _Model())
        if model.served:
            model = model.with_state(model.served.number, _State("END"))
            _LOG.info("%s: version %d is no longer served", name, model.served.number)
        if version:
            model = model.with_state(version.number, _State("AVAILABLE"))
        self._models = {**self._models, name: dataclasses.replace(model, served=version)}

    def _note(self, name, number, state):
        model = self._models.get(name, _Model()).with_state(number, state)
        self._models = {**self._models, name: model}

    def _forget(self, name, folders):
        """Forgets the states of versions that are gone."""
        model = self._models[name]
        states = {number: state for number, state in model.states.items() if number in folders}
        self._models = {**self._models, name: dataclasses.replace(model, states=states)}
        if not folders:
            self._models = {n: model for n, model in self._models.items() if n != name}


def _layout(directory):
    """A function that finds the models: a dict from names to dicts from numbers to folders."""
    if not directory.is_dir():
        raise InputError(
            f"{directory} is no folder; give a folder of models, such as savedmodels, or one of "
            "them."
        )
    place = directory.resolve()  # for its name, where it is given as "."
    if _is_savedmodel(directory):
        number = _number(place)
        name, number = (place.name, 1) if number is None else (place.parent.name, number)
        return lambda: {name: {number: directory}} if _is_savedmodel(directory) else {}
    if any(map(_is_savedmodel, _versions(directory).values())):
        return lambda: _with_versions({place.name: directory})
    if not any(map(_versions, _subfolders(directory).values())):
        raise InputError(
            f"{directory} holds no model: neither it nor a folder in it has numbered versions; "
            "publish one with kerakit publish."
        )
    return lambda: _with_versions(_subfolders(directory))


def _with_versions(folders):
    found = {name: _versions(folder) for name, folder in folders.items()}
    return {name: versions for name, versions in found.items() if versions}


def _versions(directory):
    numbered = {_number(folder): folder for folder in _subfolders(directory).values()}
    return {number: folder for number, folder in numbered.items() if number is not None}


def _subfolders(directory):
    try:
        return {
            path.name: path
            for path in directory.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        }
    except FileNotFoundError:  # removed a moment ago
        return {}


def _number(folder):
    # Also "00000123", as TensorFlow Serving takes it.
    return int(folder.name) if folder.name.isascii() and folder.name.isdigit() else None


def _is_savedmodel(folder):
    return (folder / "saved_model.pb").is_file()


def _files(folder):
    """Names, sizes and times of a version's files, by which a change is noticed."""
    files = set()
    for path in folder.rglob("*"):
        try:
            about = path.stat()
        except OSError:  # removed a moment ago
            continue
        files.add((str(path), about.st_size, about.st_mtime_ns))
    return frozenset(files)
