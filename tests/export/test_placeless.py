"""Cards name no place on the machine that wrote them."""

import json
import shlex

import pytest

from kerakit.export.placeless import placeless
from tests.export.tiny import save_tiny


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "my cells"
    folder.mkdir()
    (folder / "w.pth").touch()
    return folder


def test_names_without_places(data):
    assert placeless(str(data)) == "my cells"
    assert placeless(f"coco:{data}/") == "coco:my cells"
    assert placeless({"a": [f"coco:{data}", 3, None]}) == {"a": ["coco:my cells", 3, None]}


@pytest.mark.parametrize(
    "pattern", ["", "coco:cells", "../cells", r"/(\d+)_", "https://a.b/c", "it's"]
)
def test_what_is_no_place_stays(pattern):
    assert placeless(pattern) == pattern


def test_a_command_stays_one(data):
    words = ["detect", "--data", f"coco:{data}", f"--weights={data}/w.pth", "--group-by", "/(.+) "]
    wanted = ["detect", "--data", "coco:my cells", "--weights=w.pth", "--group-by", "/(.+) "]
    assert shlex.split(placeless(shlex.join(words))) == wanted


def test_of_a_card(model, data, tmp_path):
    given = {
        "command": f"python -m recipes.classify --init {tmp_path}/best.keras --data x",
        "config": {"data": f"folder:{data}", "init": data / "w.pth"},
        "data": {"name": f"folder:{data}", "citation": ""},
    }
    (tmp_path / "best.keras").touch()
    text = (save_tiny(model, tmp_path / "tiny", card=given) / "card.json").read_text()
    assert str(tmp_path) not in text
    card = json.loads(text)
    assert card["command"] == "python -m recipes.classify --init best.keras --data x"
    assert card["config"] == {"data": "folder:my cells", "init": "w.pth"}
    assert card["data"]["name"] == "folder:my cells"
