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
            "VGG19 or VGG16",
        ),
        (["MobileNetv"], "did you mean MobileNet"),
        (["zzz"], "and no file; there are "),
        (["none.keras"], "none.keras does not exist; give a .keras file or the name of a model."),
        (["VGG16", "--input", "8x8x3"], "must be whole numbers from 1 with commas between them"),
        (["VGG16", "--input", "0,8,3"], "as 224,224,3, got '0,8,3'"),
        (["VGG16", "--input", "8,8,3"], "VGG16 cannot be counted for --input 8,8,3 (Input size"),
        (
            ["VGG16", "--input", "224,224"],
            "VGG16 cannot be counted for --input 224,224 (--input must be a tuple of three",
        ),
        (["VGG16", "--input", "9,9,3", "--input", "4"], "VGG16 has one input; give --input once."),
        (["tiny.keras"], "tiny.keras cannot be counted without --input (--input must be given, as"),
        (["tiny.keras", "--input", "9,9,1"], "(--input must fit the model's (None, None, 3), got"),
        (["tiny.keras", "--input", "2,2,3"], "tiny.keras cannot be counted for --input 2,2,3 ("),
        (["broken.keras"], "broken.keras cannot be read as a Keras model (it is no zip archive)."),
        (["broken.h5"], "broken.h5 cannot be read as a Keras model ("),
        (["folder"], "folder is a folder; give a .keras file or the name of a model."),
        (["folder.keras"], "folder.keras is a folder; give a .keras file or the name of a model."),
        (
            ["tiny.keras", "--input", "9,9,3", "--csv", "tiny.keras/rows.csv"],
            "tiny.keras/rows.csv cannot be written (",
        ),
    ],
)
def test_refusals(argv, message, tiny, tmp_path, capsys):
    (tmp_path / "broken.keras").write_bytes(b"PK no zip")
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.keras").mkdir()
    if "--csv" in argv:
        with pytest.raises(SystemExit) as caught:
            main(["cost", *argv])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    else:
        assert message in refused(capsys, *argv)


def test_a_file_of_a_model_that_is_not_built(tmp_path, capsys):
    path = str(tmp_path / "unbuilt.keras")
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.Conv2D(4, 3)], name="unbuilt").save(path)
    assert main(["cost", path, "--input", "8,8,3"]) == 0
    assert f"MACs             {36 * 4 * 27:,}" in capsys.readouterr().out
    sentence = refused(capsys, path)
    assert "without --input (--input must be given for 'unbuilt', a shape for `inputs`" in sentence


def test_a_file_with_a_class_of_the_users(tmp_path, capsys):
    class Mine(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    path = str(tmp_path / "mine.keras")
    keras.Sequential([keras.Input((4,)), Mine()]).save(path)
    assert refused(capsys, path) == (
        f"error: {path} holds Mine, which is not known here; kerakit.cost.report counts the model "
        "in Python, where it is."
    )


def test_a_model_that_fails_is_one_sentence(tmp_path, capsys):
    @keras.saving.register_keras_serializable(package="tests")
    class Failing(keras.Model):
        def call(self, x):
            raise KeyError("scale")

    path = str(tmp_path / "failing.keras")
    with pytest.warns(UserWarning, match="not yet been built"):
        Failing().save(path)
    assert refused(capsys, path, "--input", "4").startswith(
        f"error: {path} cannot be counted for --input 4 ("
    )


def test_a_file_of_a_model_with_several_inputs(tmp_path, capsys):
    images, more = keras.Input((None, None, 3)), keras.Input((4,))
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(4, 3)(images))
    path = str(tmp_path / "two.keras")
    keras.Model([images, more], keras.layers.Add()([x, more])).save(path)
    assert main(["cost", path, "--input", "8,8,3", "--input", "4"]) == 0
    assert f"MACs             {36 * 4 * 27:,}" in capsys.readouterr().out
    assert "(--input must be one shape for each of the 2 inputs, got 1)" in refused(
        capsys, path, "--input", "8,8,3"
    )
    sentence = refused(capsys, path, "--input", "8,8,3", "--input", "5")
    assert "for --input 8,8,3 --input 5 (--input must fit the model's (4,), got (5,))" in sentence


def test_a_folder_named_as_a_model_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    assert report_of("resnet18", (64, 64, 3)).name == "resnet18"


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["cost", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Count what a model costs: parameters, MACs, FLOPs, memory, receptive field." in text
    assert "Example: kerakit cost VGG16 --input 224,224,3" in text
