import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kerakit import export
from kerakit.data import Preparation, load
from kerakit.training.epoch_log import TIMES
from recipes import classify

RECIPE = classify
ROOT = pathlib.Path(__file__).parents[2]
SMALL = ["--epochs", "2", "--width", "0.0625", "--batch-size", "64"]


def command(*arguments):
    return [sys.executable, "-m", "recipes.classify", *map(str, arguments)]


def figures(folder):
    """The log without its times, the final state of the run and its score."""
    with open(folder / "log.csv", newline="") as file:
        rows = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
    return rows, (folder / "best.keras").exists(), json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run from a command line of its own, and what it printed."""
    workdir = tmp_path_factory.mktemp("runs")
    result = subprocess.run(
        command("digits", *SMALL, "--workdir", workdir, "--name", "whole"),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
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
    examples = list(load("digits").val_source.encoded_dataset().as_numpy_iterator())
    encoded = tf.constant([example["encoded"] for example in examples])
    answers = model.signatures["serving_default"](image_bytes=encoded)
    labels = np.array([example["label"] for example in examples])
    accuracy = np.mean(answers["class_id"].numpy() == labels)
    report = json.loads((folder / "report.json").read_text())
    assert accuracy == pytest.approx(report["metrics"]["accuracy"], abs=1e-6)


@pytest.mark.slow  # tests/training/test_fit.py has it in small
def test_a_killed_run_ends_as_one_that_was_not(finished, run):
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

    code, output, _ = run("digits", *SMALL, *name)
    assert code == 0
    assert "Going on with" in output
    rows, _, report = figures(whole.parent / "killed")
    expected_rows, _, expected = figures(whole)
    assert rows == expected_rows
    assert report["metrics"] == expected["metrics"]


@pytest.mark.slow
def test_the_other_settings_work_together(tmp_path, run):
    """Half precision, averaged weights, balanced classes, heat maps, and every augmentation."""
    code, _, error = run(
        "digits", "--epochs", "1", "--batch-size", "64", "--workdir", tmp_path,
        "--width", "0.0625", "--channels", "3", "--precision", "mixed_float16", "--ema", "0.9",
        "--class-weights", "balanced", "--label-smoothing", "0.1", "--mixup", "0.2",
        "--cutmix", "1", "--randaugment", "5", "--color", "0.2", "--crop", "0.6", "--flip",
        "--explain",
    )  # fmt: skip
    assert code == 0, error
    (folder,) = tmp_path.iterdir()
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert "heat_map" in card["signatures"]["explain"]["outputs"]
    assert "![heat_maps.png](heat_maps.png)" in (folder / "report.md").read_text()
    assert (folder / "heat_maps.png").stat().st_size > 10_000
    # What is judged in the epoch are the averages in float16, what comes out those in float32.
    with open(folder / "log.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["val_accuracy"]) == pytest.approx(card["metrics"]["accuracy"], abs=0.03)
    exported = keras.saving.load_model(folder / "best.keras", compile=False)
    assert exported.get_layer("conv1").compute_dtype == "float16"
    assert exported.layers[-1].compute_dtype == "float32"


@pytest.mark.parametrize(
    "model",
    ["recurrent_classifier", pytest.param("linear_classifier", marks=pytest.mark.slow)],
)
def test_small_models_train_too(model, tmp_path, run):
    code, _, error = run(
        "digits", "--epochs", "2", "--model", model, "--width", "None", "--stem", "None",
        "--learning-rate", "0.1", "--workdir", tmp_path,
    )  # fmt: skip
    assert code == 0, error
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text())["metrics"]["accuracy"] > 0.5


def test_an_imagenet_that_is_not_there_ends_with_the_next_command(tmp_path, run):
    code, _, error = run("imagenet", "--workdir", tmp_path)
    assert code == 2
    assert error.rstrip().endswith("tfds build imagenet2012 --manual_dir DIR")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--epochs", "-1"], "--epochs must be at least 1, got -1"),
        (["folder", "--data", "photos"], "photos"),
        (["folder", "--data", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["digits", "--workdir", "/proc/nowhere"], "--workdir /proc/nowhere cannot be written"),
        (["digits", "--init", "nothing.keras"], "--init nothing.keras"),
        (["digits", "--size", "0", "16"], "--size must be two numbers from 1 to 4096"),
        (["digits", "--momentum", "1"], "--momentum must be below 1"),
        (["digits", "--learning-rate", "nan"], "--learning-rate must be a finite number"),
        (["digits", "--rotation", "-5"], "--rotation must be at least 0"),
        (["digits", "--zoom", "1"], "--zoom must be below 1"),
        (["digits", "--ema", "1"], "--ema must be below 1"),
        (["digits", "--crop", "0"], "--crop must be above 0"),
        (["digits", "--model", "lenet"], "--model lenet is none of alexnet"),
        (["digits", "--model", "knn_classifier"], "--width is nothing that knn_classifier has"),
        (["digits", "--seed", "2147483648"], "--seed must be at most 2147483647"),
        (["digits", "--normalization", "imagenet"], "--normalization imagenet needs --channels 3"),
        (["digits", "--batch-size", "100000"], "larger than the training set of 1437"),
        (["digits", "--name", "a/b"], "--name a/b must be the name of one folder"),
    ],
)
def test_bad_settings_end_in_one_sentence(arguments, message, tmp_path, run):
    if "--workdir" not in arguments:
        arguments = [*arguments, "--workdir", tmp_path]
    code, _, error = run(*arguments)
    assert code == 2
    (sentence,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert message in sentence
    assert not list(tmp_path.iterdir())  # no run was begun


def test_a_folder_of_ones_own_images(tmp_path, run):
    """Odd sizes, grey, transparent and turned images, one broken; then asked of the export."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for number in range(24):
        name = "bright" if number % 2 else "dark"
        height, width = draw.integers(5, 60, 2)
        pixels = draw.integers(120 * (number % 2), 136 + 120 * (number % 2), (height, width, 4))
        mode = ("RGB", "L", "RGBA")[number % 3]
        image = Image.fromarray(pixels.astype("uint8"), "RGBA").convert(mode)
        (folder / name).mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        if mode == "RGBA":
            image.save(folder / name / f"{number}.png")
        else:
            image.save(folder / name / f"{number}.JPG", exif=exif)
    good = sorted(folder.rglob("*.*"))
    (folder / "dark" / "broken.jpg").write_bytes((folder / "dark" / "0.JPG").read_bytes()[:300])
    data, runs = f"folder:{folder}", tmp_path / "runs"
    settings = ["--size", "17", "23", "--width", "0.0625", "--epochs", "1", "--batch-size", "8"]
    code, _, error = run("folder", "--data", data, "--workdir", runs, *settings)
    assert code == 2
    assert "broken.jpg" in error.splitlines()[-1]

    # Not `pytest.warns`, which sets the suite's other filters aside for a whole training.
    with warnings.catch_warnings(record=True) as warned:
        warnings.filterwarnings("always", r".*left out, as --skip-bad says")
        code, _, error = run("folder", "--data", data, "--workdir", runs, "--skip-bad", *settings)
    assert code == 0, error
    assert any("broken.jpg" in str(warning.message) for warning in warned)
    (report,) = runs.glob("*/report.json")
    served = export.Served(report.parent / "savedmodel")
    with pytest.warns(UserWarning, match="left out"):
        score = export.score(served, load(data, skip_bad=True))
    assert score["accuracy"] == json.loads(report.read_text())["metrics"]["accuracy"]

    model = keras.saving.load_model(report.parent / "best.keras", compile=False)
    preparation = Preparation(height=17, width=23)
    pictures = np.stack([preparation.resize(upright(path)) for path in good])
    expected = model.predict(pictures, verbose=0)
    answers = served.answer([path.read_bytes() for path in good])
    logits = np.stack([answer["logits"] for answer in answers])
    # Within a grey level of a few pixels, at which Pillow and TensorFlow may round otherwise.
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


def upright(path):
    """The picture that a viewer shows, by Pillow: turned as EXIF says, on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode != "RGBA":
        return np.asarray(image.convert("RGB"))
    rgba = np.asarray(image).astype(float)
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype("uint8")
