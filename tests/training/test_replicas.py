"""Two replicas, and two worker processes, give the numbers of one with the same global batch."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kerakit.training.epoch_log import TIMES
from kerakit.training.on_workers import worker_environments

LIMIT = 600  # seconds


def trained(folder, kind, how, floatx, steps, backend="tensorflow"):
    """Weights by name, and the figures of the validation sets by their size."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.training.replica_case"]
    path = folder / f"{how}.npz"
    workers = worker_environments(2) if how == "workers" else [{}]
    processes = [
        subprocess.Popen(
            [*command, kind, how, floatx, str(steps), str(path)],
            env={**os.environ, **environment, "KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in workers
    ]
    try:
        for process in processes:
            printed, _ = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, printed[-3000:]
    finally:
        for process in processes:
            process.kill()
    with np.load(path) as file:
        return dict(file), json.loads(path.with_suffix(".npz.json").read_text())


CASES = [
    ("classifier", "mirrored", "tensorflow"),
    *(
        pytest.param(kind, how, backend, marks=pytest.mark.slow)
        for kind, how, backend in (
            ("classifier", "workers", "tensorflow"),
            ("detector", "mirrored", "tensorflow"),
            ("detector", "workers", "tensorflow"),
            ("segmenter", "mirrored", "tensorflow"),
            ("segmenter", "workers", "tensorflow"),
            ("classifier", "mirrored", "jax"),
        )
    ),
]


@pytest.mark.parametrize(("kind", "how", "backend"), CASES)
def test_weights_are_those_of_one_process_in_float64(kind, how, backend, tmp_path):
    weights, figures = trained(tmp_path, kind, "one", "float64", 50, backend)
    spread_weights, spread_figures = trained(tmp_path, kind, how, "float64", 50, backend)
    assert weights.keys() == spread_weights.keys()
    for name, value in weights.items():
        np.testing.assert_allclose(
            spread_weights[name], value, rtol=0, atol=1e-9, err_msg=name.replace("|", "/")
        )
    assert figures.keys() == spread_figures.keys()
    for count, expected in figures.items():
        found = spread_figures[count]
        for name in expected.keys() - set(TIMES):
            assert found[name] == pytest.approx(expected[name], abs=1e-6), (count, name)
