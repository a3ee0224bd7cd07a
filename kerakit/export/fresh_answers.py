"""Answers of an export from a fresh process, in which kerakit cannot be imported."""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from kerakit.export.check_files import broken_files
from kerakit.export.refusal import reason

_SCRIPT = Path(__file__).with_name("fresh_process.py")


class ProcessFailed(Exception):
    """The fresh process ended with an error; the message says which."""


def ask_fresh_process(savedmodel, checks, pixels, *, asked, inputs):
    """Answers by check, signature and output, and the errors for broken images.

    Args:
        savedmodel: Path of the export.
        checks: Encoded images, or clips of encoded frames, by check.
        pixels: The same, prepared, by check.
        asked: `Images` or `Clips`.
        inputs: The input's name of each signature to ask.

    Raises:
        ProcessFailed: If the process ends with an error.
    """
    told = {
        "checks": {check: _base64(images) for check, images in checks.items()},
        "refused": {name: _base64(image) for name, image in broken_files(asked).items()},
        "inputs": inputs,
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "asked.json").write_text(json.dumps(told))
        np.savez(folder / "pixels.npz", **pixels)
        process = subprocess.run(
            # -I: neither this folder nor PYTHONPATH leads to kerakit.
            [sys.executable, "-I", _SCRIPT, savedmodel.resolve(), folder],
            cwd=folder,
            # Where there is a GPU, its memory is already this process's.
            env={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            # The exception's own line: what follows it, if anything, is advice.
            errors = re.findall(r"^[\w.]+Error: .+$", process.stderr, re.MULTILINE)
            raise ProcessFailed(errors[-1] if errors else f"exit code {process.returncode}")
        with np.load(folder / "answers.npz") as file:
            answers = dict(file)
        refusals = json.loads((folder / "refusals.json").read_text())
    served = {check: {signature: {} for signature in inputs} for check in checks}
    for key, value in answers.items():
        check, signature, output = key.split("/")
        served[check][signature][output] = value
    return served, {name: message and reason(message) for name, message in refusals.items()}


def _base64(data):
    if isinstance(data, list):
        return [_base64(one) for one in data]
    return base64.b64encode(data).decode("ascii")
