"""The models that ship: whole, small, of no place, and as good as savedmodels/README.md says."""

import json
import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "savedmodels"
MODELS = ("digits", "blood-cells", "nuclei", "tissue", "motion")
README = (FOLDER / "README.md").read_text("utf-8")
MEGABYTE = 10**6


def here():
    """The models that are in this checkout."""
    return [name for name in MODELS if (FOLDER / name).is_dir()]


def versions(name):
    return [folder for folder in (FOLDER / name).iterdir() if folder.is_dir()]


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.fixture(params=MODELS)
def name(request):
    if request.param not in here():
        pytest.skip(f"savedmodels/{request.param} is not in this checkout")
    return request.param


@pytest.fixture
def version(name):
    return max(versions(name), key=lambda folder: int(folder.name))


@pytest.fixture
def card(version):
    return json.loads((version / "card.json").read_text("utf-8"))


def row(name):
    """Cells of a model's row in README's first table."""
    (line,) = re.findall(rf"^\| `{name}` \|(.*)\|$", README.partition("\n## ")[0], flags=re.M)
    return [cell.strip() for cell in line.split("|")]


def test_the_readme_has_a_row_of_figures_for_each_model():
    for name in MODELS:
        assert re.search(r"`\w", row(name)[1])
        assert f" --name {name}\n" in README


def test_figures_are_those_of_the_card(name, version, card):
    _, measured, megabytes = row(name)
    number, _, figures = measured.partition(": ")
    kind = "clips" if card["task"] == "video" else "images"
    assert number == f"{card['metrics']['images']} {kind}"
    for key, value in re.findall(r"`(.+?)` (\S+?)(?:,|$)", figures):
        assert value == f"{card['metrics'][key]:.3f}", key
    assert megabytes == f"{size(version) / MEGABYTE:.1f} MB"


def test_shapes_and_classes_are_those_of_the_card(name, card):
    inputs = [card["signatures"][key]["inputs"] for key in ("serving_default", "tensors")]
    (line,) = re.findall(rf"^\| `{name}` \| (`(?:image_bytes|frames)`.*)\|$", README, flags=re.M)
    for ((key, about),) in (given.items() for given in inputs):
        shape = ", ".join(["B", *map(str, about["shape"][1:])])
        assert f"`{key}` {about['dtype']} ({shape})" in line
    for signature in card["signatures"].values():
        for key, about in signature["outputs"].items():
            assert f"| `{key}` | {about['dtype']} (B" in README
    if name != "digits":  # 0 to 9
        assert f"`{name}` {', '.join(card['classes'])}" in README


def test_is_verified_and_there_once(name, card):
    assert card["verification"]["passed"] is True
    assert card["warmup_requests"] >= 2
    assert len(versions(name)) == 1


def test_names_no_place_on_the_machine_that_trained_it(version):
    for file in version.rglob("*"):
        if file.is_file():
            found = re.search(rb"/(?:work|home|tmp|root|Users)/", file.read_bytes())
            assert not found, f"{file.relative_to(version)}: {found}"


def test_sizes():
    if not here():
        pytest.skip("there are no models in this checkout")
    sizes = {name: size(FOLDER / name) for name in here()}
    assert max(sizes.values()) <= 25 * MEGABYTE
    assert sum(sizes.values()) <= 60 * MEGABYTE


def test_tensorflow_serving_finds_them():
    if not here():
        pytest.skip("there are no models in this checkout")
    config = (FOLDER / "models.config").read_text("utf-8")
    for name in here():
        assert f'"/models/{name}"' in config
