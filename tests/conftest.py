"""What all tests share: a fixed generator, quiet logs, no network."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pathlib
import socket

import keras
import numpy as np
import pytest

# What other backends leave out: what needs TensorFlow's (data, export and what stands on
# them), and what is the same on all (claims about formulas, pictures, tables).
TENSORFLOW_ONLY = (
    "data",
    "augment",
    "export",
    "runs",
    "training",
    "recipes",
    "serve",
    "test_cli.py",
    "test_cli_videos.py",
)
NO_BACKEND = (
    "claims",
    "metrics/test_confusion_picture.py",
    "test_coverage.py",
    "test_docs.py",
    "test_extras.py",
)
# Of JAX, which compiles each operation of each shape, the long suite: here whole networks are
# trained and explained, in their docstrings' examples too; of each the smallest is in conformance/.
LONG_ON_JAX = ("diagnose", "explain", "models")
collect_ignore = []
if keras.backend.backend() != "tensorflow":
    collect_ignore += [*TENSORFLOW_ONLY, *NO_BACKEND]


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` chooses
def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "jax":
        here = pathlib.Path(__file__).parent
        for item in items:
            example = item.name.partition("[kerakit.")[2].partition(".")[0]
            if {item.path.relative_to(here).parts[0], example} & set(LONG_ON_JAX):
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_start():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def packs():
    """Folder of the real data sets, from the environment variable KERAKIT_DATA."""
    folder = os.environ.get("KERAKIT_DATA")
    if not folder or not pathlib.Path(folder).is_dir():
        pytest.skip("KERAKIT_DATA names no folder with the data sets")
    return pathlib.Path(folder)


@pytest.fixture
def no_network(monkeypatch):
    """Any connection is an error; local sockets (multiprocessing) stay."""

    def refuse(self, address, *_):
        if isinstance(address, (str, bytes)):
            return original(self, address)
        raise AssertionError(f"a connection to {address} was tried")

    original = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail(f"looked up {a}"))
