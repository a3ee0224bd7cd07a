"""`models.config`, in which TensorFlow Serving finds the models of a folder."""

import pytest
from google.protobuf import text_format

from kerakit.errors import InputError
from kerakit.export.model_config import write_model_config


def served(folder):
    """Names and places that the server would find."""
    proto = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = (folder / "models.config").read_text()
    config = text_format.Parse(text, proto.ModelServerConfig())
    models = config.model_config_list.config
    assert {model.model_platform for model in models} <= {"tensorflow"}
    return {model.name: model.base_path for model in models}


def version(folder, name, number="1"):
    (folder / name / number).mkdir(parents=True)


def test_names_the_models_of_the_folder(tmp_path):
    for name in ("motion", "digits", 'bée "x"'):
        version(tmp_path, name)
    version(tmp_path, "digits", "12")
    version(tmp_path, ".digits")  # on its way in
    version(tmp_path, "notes", "old")
    (tmp_path / "README.md").write_text("no model")
    assert write_model_config(tmp_path) == ['bée "x"', "digits", "motion"]
    names = ['bée "x"', "digits", "motion"]
    assert served(tmp_path) == {name: f"/models/{name}" for name in names}


def test_models_come_and_go(tmp_path):
    write_model_config(tmp_path)
    assert served(tmp_path) == {}
    version(tmp_path, "digits")
    write_model_config(tmp_path)
    assert list(served(tmp_path)) == ["digits"]
    (tmp_path / "digits" / "1").rmdir()
    version(tmp_path, "motion")
    write_model_config(tmp_path)
    assert list(served(tmp_path)) == ["motion"]
    assert [file.name for file in tmp_path.glob("*config*")] == ["models.config"]


def test_a_config_of_ones_own_stays(tmp_path, caplog):
    version(tmp_path, "digits")
    (tmp_path / "models.config").write_text("model_config_list {}\n")
    assert write_model_config(tmp_path) == ["digits"]
    assert (tmp_path / "models.config").read_text() == "model_config_list {}\n"
    (record,) = caplog.records
    assert record.getMessage().endswith("models.config is not kerakit's and was left as it is.")


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"models.config cannot be written \(No such file or"):
        write_model_config(tmp_path / "absent")
