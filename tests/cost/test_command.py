"""`kerakit cost`: the models that it knows, its files and its refusals."""

import csv
import json

import keras
import pytest

from kerakit.cli import main
from kerakit.cost.named import builders, report_of


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A model in `tiny.keras`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Conv2D(4, 3)(images), name="tiny")
    model.save("tiny.keras")
    return model


def refused(capsys, *argv):
    """The sentence with which a command line is refused."""
    with pytest.raises(SystemExit) as caught:
        main(["cost", *argv])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = [line for line in printed.err.splitlines() if line.startswith(("error:", "kerakit "))]
    return line


def test_a_model_of_keras(capsys):
    assert main(["cost", "MobileNetV2", "--input", "96,96,3"]) == 0
    printed = capsys.readouterr().out
    assert "mobilenetv2_1.00_96, input 96 x 96 x 3" in printed
    assert "parameters       3,538,984 (3,504,872 trainable, 34,112 not)" in printed


def test_a_model_of_kerakit_of_its_own_size_with_files(tmp_path, capsys):
    csv_file, json_file = tmp_path / "new" / "rows.csv", tmp_path / "cost.json"
    files = ["--csv", str(csv_file), "--json", str(json_file)]
    assert main(["cost", "resnet18", *files]) == 0
    assert "MACs             1,814,073,344" in capsys.readouterr().out
    content = json.loads(json_file.read_text())
    assert (content["macs"], content["trainable_parameters"]) == (1_814_073_344, 11_689_512)
    with open(csv_file, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["macs"]) for row in rows) == 1_814_073_344


def test_a_file(tiny, capsys):
    assert main(["cost", "tiny.keras", "--input", "10,12,3"]) == 0
    assert f"MACs             {8 * 10 * 4 * 27:,}" in capsys.readouterr().out
    assert report_of("tiny.keras", (10, 12, 3)).parameters == tiny.count_params()


def test_names_in_any_case():
    # As written: kerakit's own first.
    assert report_of("mobilenetv2", (96, 96, 3)).macs == report_of("MobileNetV2", (96, 96, 3)).macs
    assert report_of("ResNet18", (64, 64, 3)).name == "resnet18"


def test_every_builder_is_known():
    names = builders()
    assert {"VGG16", "ResNet50", "MobileNetV2", "resnet18"} <= set(names)
    assert all(callable(function) for function in names.values())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["VGG17"],
            "error: 'VGG17' is no model of kerakit or keras.applications and no file; did you mean "
            "VGG19 or VGG16?",
        ),
        (["MobileNetv"], "did you mean MobileNet"),
        (["zzz"], "no file; there are resnet18,"),
        (["none.keras"], "none.keras does not exist; give a .keras file or the name of a model."),
        (["VGG16", "--input", "8x8x3"], "must be whole numbers from 1 with commas between them"),
        (["VGG16", "--input", "0,8,3"], "as 224,224,3, got '0,8,3'"),
        (["VGG16", "--input", "8,8,3"], "VGG16 cannot be counted for --input 8,8,3 (Input size"),
        (["VGG16", "--input", "224,224"], "VGG16 cannot be counted for --input 224,224 ("),
        (["tiny.keras"], "tiny.keras cannot be counted without --input (`input_shape` must be"),
        (["tiny.keras", "--input", "9,9,1"], "`input_shape` must fit the model's (None, None, 3)"),
        (["tiny.keras", "--input", "2,2,3"], "tiny.keras cannot be counted for --input 2,2,3 ("),
        (["broken.keras"], "broken.keras cannot be read as a Keras model ("),
        (["folder"], "folder does not exist; give a .keras file or the name of a model."),
        (
            ["tiny.keras", "--input", "9,9,3", "--csv", "tiny.keras/rows.csv"],
            "tiny.keras/rows.csv cannot be written (",
        ),
    ],
)
def test_refusals(argv, message, tiny, tmp_path, capsys):
    (tmp_path / "broken.keras").write_bytes(b"PK no zip")
    (tmp_path / "folder").mkdir()
    if "--csv" in argv:
        with pytest.raises(SystemExit) as caught:
            main(["cost", *argv])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    else:
        assert message in refused(capsys, *argv)


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["cost", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Count what a model costs: parameters, MACs, FLOPs, memory, receptive field." in text
    assert "Example: kerakit cost VGG16 --input 224,224,3" in text
