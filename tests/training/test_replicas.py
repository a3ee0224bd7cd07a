"""Two replicas, and two worker processes, give the numbers of one with the same global batch."""

import contextlib
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
    folder.mkdir(exist_ok=True)
    path = folder / f"{how}.npz"
    workers = [*worker_environments(2)] if how == "workers" else [{}]
    # Not into pipes: one that is full stops a worker while the other is read, and with it the job.
    told = [folder / f"{how}-{number}.txt" for number in range(len(workers))]
    with contextlib.ExitStack() as stack:
        processes = []
        for environment, place in zip(workers, told, strict=True):
            process = subprocess.Popen(
                [*command, kind, how, floatx, str(steps), str(path)],
                env={**os.environ, **environment, "KERAS_BACKEND": backend},
                stdout=stack.enter_context(open(place, "w")),
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            process.wait(timeout=LIMIT)
    assert not any(process.returncode for process in processes), [
        place.read_text()[-3000:] for place in told
    ]
    with np.load(path) as file:
        return dict(file), json.loads(path.with_suffix(".npz.json").read_text())


def assert_close(found, expected, atol):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=atol, err_msg=name.replace("|", "/")
        )


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
            ("classifier", "workers", "jax"),
        )
    ),
]


@pytest.mark.parametrize(("kind", "how", "backend"), CASES)
def test_weights_are_those_of_one_process_in_float64(kind, how, backend, tmp_path):
    weights, figures = trained(tmp_path, kind, "one", "float64", 50, backend)
    spread_weights, spread_figures = trained(tmp_path, kind, how, "float64", 50, backend)
    assert_close(spread_weights, weights, atol=1e-9)
    assert figures.keys() == spread_figures.keys()
    for count, expected in figures.items():
        found = spread_figures[count]
        for name in expected.keys() - set(TIMES):
            assert found[name] == pytest.approx(expected[name], abs=1e-6), (count, name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "how", "backend"), CASES)
def test_float32_stays_near_one_process(kind, how, backend, tmp_path):
    weights, _ = trained(tmp_path, kind, "one", "float32", 1, backend)
    spread_weights, _ = trained(tmp_path, kind, how, "float32", 1, backend)
    assert_close(spread_weights, weights, atol=1e-5)

    _, figures = trained(tmp_path / "long", kind, "one", "float32", 50, backend)
    _, spread_figures = trained(tmp_path / "long", kind, how, "float32", 50, backend)
    assert spread_figures["1"]["loss"] == pytest.approx(figures["1"]["loss"], rel=0.01)


def test_where_one_replica_overflows_none_takes_the_step():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.training.overflow_case"],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    overflow, finite = json.loads(run.stdout.splitlines()[-1])
    assert overflow == 0.0
    assert 0.0 < finite < 1.0
