"""The examples in docstrings are run, a module a test."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import kerakit

TENSORFLOW = ("augment", "data", "export", "runs", "serve", "training")


def modules():
    for module in pkgutil.walk_packages(kerakit.__path__, "kerakit."):
        part = module.name.split(".")[1]
        if part not in ("__main__", "cli") and (
            part not in TENSORFLOW or keras.backend.backend() == "tensorflow"
        ):
            yield module.name


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
