"""Without an extra's packages, the error says which extra to install."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.clean_environment import TOOLS, USES, extras

ROOT = pathlib.Path(__file__).parents[1]
# Modules that each extra brings, made impossible to import.
BROUGHT = {
    "coco": ("hotcoco",),
    "plot": ("matplotlib", "PIL"),
    "tfds": ("tensorflow_datasets",),
    "recipes": ("tyro", "tensorboard"),
    "serve": ("tensorflow_serving",),
    "proposals": ("cv2",),
    "video": ("av",),
    "weights": ("safetensors",),
}


def test_every_extra_is_here():
    assert extras() == set(BROUGHT) | TOOLS


@pytest.mark.parametrize(
    "extra", [e if e == "coco" else pytest.param(e, marks=pytest.mark.slow) for e in BROUGHT]
)
def test_the_error_names_the_extra(extra):
    blocked = "".join(f"sys.modules[{module!r}] = None; " for module in BROUGHT[extra])
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; {blocked}{USES[extra]}"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert f"pip install kerakit[{extra}]" in result.stderr
