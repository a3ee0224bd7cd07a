import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit import export
from kerakit.cli import main
from kerakit.data import Preparation, load
from tests.export.tiny import CLASSES, PREPARATION, encoded, save_tiny, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return save_tiny(model, tmp_path_factory.mktemp("cli") / "tiny")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working directory, with images in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans" / "old").mkdir(parents=True)
    (tmp_path / "photo.jpg").write_bytes(encoded(30, 20, kind="JPEG", seed=1))
    (tmp_path / "scans" / "b.PNG").write_bytes(encoded(9, 9, seed=2))
    (tmp_path / "scans" / "notes.txt").write_text("no image")
    (tmp_path / "scans" / "old" / "a.gif").write_bytes(encoded(9, 9, mode="L", kind="GIF", seed=3))
    return tmp_path


def predicted(model, files):
    """Probabilities by `model.predict`."""
    pixels = PREPARATION.batch(tf.constant([file.read_bytes() for file in files])).numpy()
    logits = model.predict(pixels.astype("float32"), verbose=0).astype("float64")
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def refused(capsys, *argv):
    """The sentence with which a command line is refused."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in argv])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = [line for line in printed.err.splitlines() if line.startswith(("error:", "kerakit "))]
    return line


def test_predict(exported, model, place, capsys):
    assert main(["predict", str(exported.parent), "photo.jpg", "scans", "--top", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    files = ["photo.jpg", "scans/b.PNG", "scans/old/a.gif"]
    lines = printed.out.splitlines()
    for file, line, row in zip(
        files, lines, predicted(model, [place / file for file in files]), strict=True
    ):
        best, second = np.argsort(-row)[:2]
        assert line.startswith(f"{file:<15}  {CLASSES[best]:<6}  0.")
        name, first, other, next_one = line[15:].replace("日本 cat", "日本_cat").split()
        assert (name, other) == (CLASSES[best].replace(" ", "_"), CLASSES[second].replace(" ", "_"))
        assert float(first) == pytest.approx(row[best], abs=6e-5)
        assert float(next_one) == pytest.approx(row[second], abs=6e-5)


def test_predict_writes_json_and_pictures(exported, model, place, capsys):
    turned = Image.new("RGB", (30, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter: 10 wide, 30 high
    turned.save(place / "turned.jpg", exif=exif)
    (place / "other").mkdir()
    shutil.copy(place / "photo.jpg", place / "other" / "photo.jpg")
    arguments = ["--json", "new/answers.json", "--pictures", "drawn"]
    images = ["photo.jpg", "other", "scans", "turned.jpg"]
    assert main(["predict", str(exported), *images, *arguments]) == 0
    records = json.loads((place / "new" / "answers.json").read_text(encoding="utf-8"))
    files = ["photo.jpg", "other/photo.jpg", "scans/b.PNG", "scans/old/a.gif", "turned.jpg"]
    rows = predicted(model, [place / file for file in files])
    assert [record["file"] for record in records] == files
    for record, row in zip(records, rows, strict=True):
        assert record["class"] == CLASSES[row.argmax()]
        assert record["probability"] == pytest.approx(row.max(), abs=1e-5)
        assert record["top"] == [{"class": record["class"], "probability": record["probability"]}]

    names = ["b.png", "old/a.png", "photo-2.png", "photo.png", "turned.png"]
    drawn = sorted((place / "drawn").rglob("*.png"))
    assert [str(path.relative_to(place / "drawn")) for path in drawn] == names
    with Image.open(place / "drawn" / "turned.png") as picture:
        # 11 times as large, so that its longer side has at least 320 pixels; text below.
        assert picture.height > 330
        pixels = np.asarray(picture).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
    assert (np.ptp(np.nonzero(red)[0]) + 1, np.ptp(np.nonzero(red)[1]) + 1) == (330, 110)
    assert (pixels[330:] < 60).all(axis=-1).sum() > 50  # ink of the answer


@pytest.mark.parametrize("batch_size", ["1", "32"])
def test_one_bad_image_does_not_spoil_the_others(batch_size, exported, place, capsys):
    (place / "scans" / "bad.jpg").write_bytes((place / "photo.jpg").read_bytes()[:300])
    (place / "scans" / "empty.png").write_bytes(b"")
    command = ["predict", str(exported), "scans", "--json", "answers.json"]
    assert main([*command, "--batch-size", batch_size]) == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == [
        "scans/b.PNG",
        "scans/old/a.gif",
    ]
    bad, empty, count = printed.err.splitlines()
    assert bad.startswith("error: scans/bad.jpg is damaged or cut short (")
    assert empty == ("error: scans/empty.png is not a JPEG, PNG, GIF or BMP image: it has 0 bytes.")
    assert count == "2 of 4 images could not be read."
    records = json.loads((place / "answers.json").read_text())
    assert [sorted(record) for record in records] == [
        ["class", "file", "probability", "top"],
        ["error", "file"],
        ["error", "file"],
        ["class", "file", "probability", "top"],
    ]


def test_what_cannot_be_opened(exported, place, capsys, monkeypatch):
    def locked(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", locked)
    assert main(["predict", str(exported), "photo.jpg"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        "error: photo.jpg cannot be opened (Permission denied)."
    )


def test_predict_refuses(exported, place, capsys):
    (place / "nothing").mkdir()
    assert refused(capsys, "predict", exported, "phot.jpg") == (
        "error: phot.jpg does not exist; give an image, a video, or a folder of them."
    )
    assert refused(capsys, "predict", exported, "nothing") == (
        "error: nothing holds no images or videos; looked for .avi, .bmp, .gif, .jpeg, .jpg, .m4v, "
        ".mkv, .mov, .mp4, .mpg, .png, .webm, .wmv in it and its subfolders."
    )
    assert refused(capsys, "predict", "scans", "photo.jpg") == (
        "error: scans is not a SavedModel: neither it nor a numbered folder in it holds a file "
        "saved_model.pb."
    )
    assert refused(capsys, "predict", exported, "photo.jpg", "--top", "0") == (
        "kerakit predict: error: argument --top: must be a whole number from 1, got '0'"
    )


@pytest.mark.parametrize("option", ["--json", "--pictures"])
def test_a_place_that_cannot_be_written(option, exported, place, capsys):
    path = "photo.jpg/answers"  # a file stands where a folder is needed
    with pytest.raises(SystemExit):
        main(["predict", str(exported), "photo.jpg", option, path])
    assert capsys.readouterr().err == (
        f"error: {path} cannot be written (a file stands where a folder is needed); "
        "give another place.\n"
    )


def test_evaluate(place, capsys):
    digits = tuple("0123456789")
    keras.utils.set_random_seed(3)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    preparation = Preparation(height=8, width=8, channels=1)
    folder = export.save(model, place / "models", preparation=preparation, classes=digits)
    assert main(["evaluate", str(folder), "--data", "digits", "--json", "figures.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder} on the 360 validation images of digits"

    examples = list(load("digits").val.as_numpy_iterator())
    pixels = np.stack([example["image"][..., :1] for example in examples]).astype("float32")
    labels = np.array([example["label"] for example in examples])
    accuracy = np.mean(model.predict(pixels, verbose=0).argmax(axis=1) == labels)
    assert lines[1] == f"  accuracy         {accuracy:.4f}"
    figures = json.loads((place / "figures.json").read_text())
    assert figures["accuracy"] == pytest.approx(accuracy)
    assert figures["images"] == 360
    assert list(figures) == [
        "savedmodel", "data", "images", "accuracy", "precision_macro", "recall_macro", "f1_macro",
    ]  # fmt: skip


def test_evaluate_refuses_other_classes(exported, capsys):
    line = refused(capsys, "evaluate", exported, "--data", "digits")
    assert line.startswith("error: digits has the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and ")
    assert line.endswith("answers with ant, bée, 日本 cat; evaluate it on data of its own classes.")


def test_publish(exported, place, capsys):
    version = place / "runs" / "ants" / "savedmodel" / "1"
    shutil.copytree(exported, version)
    assert refused(capsys, "publish", "ants") == (
        "error: runs/ants/savedmodel/1 was never verified: run kerakit.export.verify on it first."
    )
    card = json.loads((version / "card.json").read_text())
    (version / "card.json").write_text(json.dumps({**card, "verification": {"passed": True}}))
    assert main(["publish", "ants", "--name", "insects"]) == 0
    assert capsys.readouterr().out == "Published savedmodels/insects/1\n"
    assert main(["predict", "savedmodels/insects", "photo.jpg"]) == 0
    capsys.readouterr()
    assert "savedmodels/insects/1 exists already" in refused(
        capsys, "publish", "runs/ants", "--name", "insects"
    )
    assert main(["publish", "ants"]) == 0
    shutil.rmtree("savedmodels/insects")
    capsys.readouterr()
    assert main(["publish"]) == 0
    assert capsys.readouterr().out == "Models in savedmodels: ants\n"
    assert "insects" not in (place / "savedmodels" / "models.config").read_text()
    assert refused(capsys, "publish", "--name", "ants") == (
        "error: --name is for the model of a run, and no RUN was given."
    )


@pytest.mark.parametrize("command", [[], ["predict"], ["evaluate"], ["publish"]])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: kerakit {' '.join(command) or 'predict'} " in text


def test_as_a_program(exported, place):
    (place / "bad.png").write_bytes(b"text")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    variables = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-m", "kerakit", "predict", exported, "photo.jpg", "bad.png"],
        env={**variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout.startswith("photo.jpg  ")
    # Its own two lines, and nothing that TensorFlow says about the processor.
    assert result.stderr.splitlines() == [
        "error: bad.png is not a JPEG, PNG, GIF or BMP image: it has 4 bytes and begins with the "
        "bytes 74 65 78 74.",
        "1 of 2 images could not be read.",
    ]


def test_pictures_never_take_the_place_of_the_images(exported, place, capsys):
    (place / "scans" / "c.png").write_bytes(encoded(9, 9, seed=4))
    before = (place / "scans" / "c.png").read_bytes()
    line = refused(capsys, "predict", exported, "scans", "--pictures", "scans")
    assert line.startswith("error: --pictures scans would overwrite scans/c.png")
    assert (place / "scans" / "c.png").read_bytes() == before


def test_empty_arguments_are_refused(exported, capsys):
    assert "must not be empty" in refused(capsys, "predict", exported, "")


@pytest.mark.parametrize("folder_of_data", ["photos", "{place}/photos"])
def test_evaluate_divides_the_data_as_the_run_did(folder_of_data, place, capsys, monkeypatch):
    """Images that the model learnt from must not count as validation images."""
    draw = np.random.default_rng(0)
    for number in range(40):
        folder = place / "photos" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    source = "folder:" + folder_of_data.format(place=place)
    export.save(
        model,
        place / "saved",
        preparation=Preparation(height=6, width=6),
        classes=["cat", "dog"],
        card={"data": {"name": source}, "config": {"val_fraction": 0.5, "group_by": ""}},
    )
    held_out = load(source, val_fraction=0.5).val_source.size
    assert held_out != load(source).val_source.size
    monkeypatch.chdir(place / "scans")
    assert main(["evaluate", f"{place}/saved", "--data", "folder:../photos"]) == 0
    assert f"on the {held_out} validation images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("card.json", "{}", "card.json cannot be read (it lacks task"),
        ("card.json", "[]", "card.json cannot be read"),
        ("assets/classes.txt", "a\nb\n", "names other classes than"),
    ],
)
def test_an_edited_export_is_refused(name, content, message, exported, place, capsys):
    copy = place / "copy" / "1"
    shutil.copytree(exported, copy)
    (copy / name).write_text(content)
    assert message in refused(capsys, "predict", copy, "photo.jpg")
