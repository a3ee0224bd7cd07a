import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
SMALL = ["--epochs", "2", "--width", "0.0625", "--batch-size", "64"]


def command(*arguments):
    return [sys.executable, "-m", "recipes.classify", *map(str, arguments)]


def run(*arguments):
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )


def figures(folder):
    """The log without its times, the final state of the run and its score."""
    with open(folder / "log.csv", newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return rows, (folder / "best.keras").exists(), json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs")
    result = run("digits", *SMALL, "--workdir", workdir, "--name", "whole")
    assert result.returncode == 0, result.stderr[-2000:]
    return workdir / "whole", result.stdout


def test_a_run_leaves_all_that_it_promises(finished):
    folder, output = finished
    for name in (
        "config.json", "log.csv", "curves.png", "confusion.png", "predictions.png", "best.keras",
        "report.md", "report.json", "savedmodel/1/saved_model.pb", "savedmodel/1/card.json",
    ):  # fmt: skip
        assert (folder / name).stat().st_size > 0, name
    assert list((folder / "tensorboard").rglob("events*"))
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    report = json.loads((folder / "report.json").read_text())
    assert f"accuracy {report['metrics']['accuracy']:.4f} on 360 images" in output
    assert len(list((folder / "samples").iterdir())) == 10


def test_the_export_scores_what_the_report_says(finished):
    folder, _ = finished
    model = tf.saved_model.load(folder / "savedmodel" / "1")
    from kerakit.data import load

    examples = list(load("digits").val_source.encoded_dataset().as_numpy_iterator())
    encoded = tf.constant([example["encoded"] for example in examples])
    answers = model.signatures["serving_default"](image_bytes=encoded)
    labels = np.array([example["label"] for example in examples])
    accuracy = np.mean(answers["class_id"].numpy() == labels)
    report = json.loads((folder / "report.json").read_text())
    assert accuracy == pytest.approx(report["metrics"]["accuracy"], abs=1e-6)


def test_a_killed_run_ends_as_one_that_was_not(finished):
    whole, _ = finished
    name = ("--workdir", whole.parent, "--name", "killed")
    process = subprocess.Popen(
        command("digits", *SMALL, *name), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    state = whole.parent / "killed" / "state.ckpt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert state.exists()
    assert not (whole.parent / "killed" / "report.json").exists()

    result = run("digits", *SMALL, *name)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "Going on with" in result.stdout
    rows, _, report = figures(whole.parent / "killed")
    expected_rows, _, expected = figures(whole)
    assert rows == expected_rows
    assert report["metrics"] == expected["metrics"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--epochs", "-1"], "--epochs must be at least 1, got -1"),
        (["folder", "--data", "photos"], "photos"),
        (["folder", "--data", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["digits", "--workdir", "/proc/nowhere"], "--workdir /proc/nowhere cannot be written"),
        (["digits", "--init", "nothing.keras"], "--init nothing.keras"),
    ],
)
def test_bad_settings_end_in_one_sentence(arguments, message, tmp_path):
    if "--workdir" not in arguments:
        arguments = [*arguments, "--workdir", tmp_path]
    result = run(*arguments)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    sentence = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(sentence) == 1
    assert message in sentence[0]
    assert not list(tmp_path.rglob("saved_model.pb"))
