"""Several labels an image, from a table to an export, on squares of three colours."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.metrics import average_precision_score

from kerakit import export
from kerakit.cli import main
from kerakit.data import Preparation, load
from kerakit.training import BestModel
from recipes import classify

RECIPE = classify
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
PREPARATION = Preparation(height=12, width=12)
SMALL = ["--size", "12", "12", "--model", "linear_classifier", "--epochs", "8"]
SMALL += ["--learning-rate", "0.3", "--normalization", "image_max", "--weight-decay", "0"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Grey noise with a square of each colour or without; the first image of val has none."""
    folder = tmp_path_factory.mktemp("squares")
    draw = np.random.default_rng(0)
    rows = [["image", "labels", "split"]]
    for number in range(160):
        pixels = draw.integers(0, 60, (16, 16, 3))
        has = [name for name in COLOURS if number and draw.random() < 0.4]
        for name in has:
            top, left = draw.integers(0, 10, 2)
            square = pixels[top : top + 6, left : left + 6]
            square[:] = np.maximum(square, COLOURS[name])
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.png")
        rows.append([f"{number}.png", "|".join(has), "train" if number % 4 else "val"])
    with open(folder / "squares.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "squares.csv"


def arguments(table, workdir, *more):
    return ["csv", "--data", f"csv:{table}", "--multi-label", "--workdir", workdir, *SMALL, *more]


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    """The folder of a finished run."""
    workdir = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["classify.py", *map(str, arguments(table, workdir))])
        classify.main()
    return workdir / "classify-squares"


@pytest.fixture(scope="module")
def held_out(table):
    data = load(f"csv:{table}", task="multi_label")
    examples = list(data.val_source.encoded_dataset().as_numpy_iterator())
    encoded = [example["encoded"] for example in examples]
    return encoded, np.stack([example["label"] for example in examples])


def test_it_learns_and_reports_the_exact_figure(finished, held_out):
    encoded, labels = held_out
    report = json.loads((finished / "report.json").read_text())
    model = keras.saving.load_model(finished / "best.keras", compile=False)
    pixels = PREPARATION.batch(tf.constant(encoded)).numpy()
    logits = model.predict(pixels, verbose=0)
    of_each = average_precision_score(labels, logits, average=None)
    assert of_each.mean() > 0.9
    assert labels.mean(axis=0).max() < 0.6  # by chance it would be this share
    assert report["metrics"]["mean_average_precision"] == pytest.approx(of_each.mean(), abs=1e-6)
    assert [row["class"] for row in report["by_class"]] == list(COLOURS)
    found = [row["average_precision"] for row in report["by_class"]]
    np.testing.assert_allclose(found, of_each, atol=1e-6)
    text = (finished / "report.md").read_text()
    assert f"| blue | {int(labels[:, 0].sum())} | {of_each[0]:.4f} | " in text
    for name in ("precision_recall.png", "predictions.png", "curves.png"):
        assert f"![{name}]({name})" in text
        assert (finished / name).stat().st_size > 0
    assert sorted(f.name for f in (finished / "samples").iterdir()) == [
        "0_blue.png", "1_green.png", "2_red.png",
    ]  # fmt: skip


def test_the_best_epoch_is_that_of_the_figure(finished):
    with open(finished / "log.csv", newline="") as file:
        rows = [float(row["val_mean_average_precision"]) for row in csv.DictReader(file)]
    report = json.loads((finished / "report.json").read_text())
    # In the log logits are rounded to bins.
    assert max(rows) == pytest.approx(report["metrics"]["mean_average_precision"], abs=0.01)


def test_the_export_answers_by_the_sigmoid_of_predict(finished, held_out):
    encoded, _ = held_out
    card = json.loads((finished / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert (card["task"], card["threshold"]) == ("multi_label", 0.5)
    model = keras.saving.load_model(finished / "best.keras", compile=False)
    logits = model.predict(PREPARATION.batch(tf.constant(encoded)).numpy(), verbose=0)
    served = tf.saved_model.load(finished / "savedmodel" / "1").signatures["serving_default"]
    answers = served(image_bytes=tf.constant(encoded))
    expected = 1 / (1 + np.exp(-logits.astype("float64")))
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)
    for names, row in zip(answers["class_names"].numpy(), expected, strict=True):
        named = {name for name, p in zip(COLOURS, row, strict=True) if p >= 0.5}
        assert {name.decode() for name in names} - {""} == named


def test_the_export_scores_what_the_report_says(finished, table, capsys):
    report = json.loads((finished / "report.json").read_text())["metrics"]
    served = export.Served(finished / "savedmodel")
    figures = export.score(served, load(f"csv:{table}", task="multi_label"))
    assert figures == pytest.approx({k: v for k, v in report.items() if k != "loss"}, abs=1e-6)
    assert main(["evaluate", str(finished / "savedmodel"), "--data", f"csv:{table}"]) == 0
    output = capsys.readouterr().out
    assert f"mean average precision {report['mean_average_precision']:.4f}" in output


# A process that ends leaves its lock to the system.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stopped_run_ends_as_one_that_was_not(finished, table, tmp_path, run, monkeypatch):
    def stop(self, epoch, logs=None):
        if epoch == 4:
            raise KeyboardInterrupt
        original(self, epoch, logs)

    original = BestModel.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(BestModel, "on_epoch_end", stop)
        code, _, _ = run(*arguments(table, tmp_path))
    assert code == 130
    code, output, error = run(*arguments(table, tmp_path))
    assert code == 0, error
    assert "Going on with" in output
    reports = [
        json.loads((folder / "report.json").read_text())["metrics"]
        for folder in (finished, tmp_path / "classify-squares")
    ]
    assert reports[0] == reports[1]


def test_the_other_settings_work_together(table, tmp_path, run):
    """Half precision, mixed images, averages, smooth labels, early stopping."""
    code, _, error = run(
        *arguments(table, tmp_path), "--epochs", "1", "--mixup", "0.2", "--cutmix", "1", "--ema",
        "0.9", "--label-smoothing", "0.1", "--precision", "mixed_float16", "--patience", "2",
    )  # fmt: skip
    assert code == 0, error
    (card,) = tmp_path.glob("*/savedmodel/1/card.json")
    assert json.loads(card.read_text())["verification"]["passed"] is True


def test_a_table_serves_one_label_an_image_too(table, tmp_path, run):
    with open(table, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["labels"] and "|" not in row["labels"]]
    single = table.with_name("single.csv")
    lines = [f"{row['image']},{row['labels']},{row['split']}\n" for row in rows]
    single.write_text("image,labels,split\n" + "".join(lines))
    code, output, error = run("csv", "--data", f"csv:{single}", "--workdir", tmp_path, *SMALL)
    assert code == 0, error
    assert f"on {sum(row['split'] == 'val' for row in rows)} images held out" in output
    report = json.loads((tmp_path / "classify-single" / "report.json").read_text())
    assert report["metrics"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (("labels", "label"), (), "squares.csv, line 1: there is no column labels; the first"),
        (("0.png,", "none.png,"), (), "squares.csv, line 2: there is no file "),
        (("0.png,,val", "0.png,pink,val"), (), "line 2: the class pink is held out for validation"),
        (("0.png,,val", "0.png,,test"), (), "line 2: split must be train or val, got 'test'"),
        (("0.png,,", "1.png,,"), (), "line 3: the image 1.png stands in line 2 already"),
        ((), ("--no-multi-label",), "line 2: 0.png has no label, and without --multi-label each"),
        ((), ("--class-weights", "balanced"), "with --multi-label it may have several or none"),
        ((), ("--data", "digits"), "digits has one label an image; for several, as --multi-label"),
    ],
)
def test_what_is_wrong_ends_in_one_sentence(change, more, message, table, tmp_path, run):
    text = table.read_text()
    if change:
        assert change[0] in text
        text = text.replace(*change, 1)
    bad = table.with_name("bad-squares.csv")
    bad.write_text(text)
    code, _, error = run(*arguments(bad, tmp_path), *more)
    assert code == 2
    (sentence,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert message in sentence
    assert not list(tmp_path.iterdir())  # no run was begun
