import json

import numpy as np
import pytest
from PIL import Image

from kerakit import cli
from recipes import segment

RECIPE = segment
CLASSES = ["background", "red", "blue"]
TINY = ["--size", "64", "64", "--width", "0.125", "--batch-size", "4", "--epochs", "2"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A masks folder: rectangles of two colours on images of odd sizes; a strip is ignored."""
    folder, draw = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 5)):
        for kind in ("images", "masks"):
            (folder / kind / part).mkdir(parents=True)
        for number in range(count):
            height, width = (int(side) for side in draw.integers(50, 120, 2))
            pixels, mask = np.full((height, width, 3), 90, np.uint8), np.zeros((height, width))
            for _ in range(1 + number % 4):
                x, y = int(draw.integers(0, width - 20)), int(draw.integers(0, height - 20))
                label = int(draw.integers(0, 2))
                pixels[y : y + 16, x : x + 18] = ((200, 30, 30), (30, 30, 200))[label]
                mask[y : y + 16, x : x + 18] = label + 1
            mask[-1] = 255
            Image.fromarray(pixels).save(folder / f"images/{part}/{number}.png")
            Image.fromarray(mask.astype(np.uint8)).save(folder / f"masks/{part}/{number}.png")
    (folder / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore": None}))
    return folder


@pytest.mark.parametrize(
    "more",
    [
        ["--model", "unet", "--flip", "both", "--color", "0.2", "--class-weights", "0.5",
         "--elastic", "3", "--rotation", "20", "--ema", "0.9", "--tile", "96"],
        pytest.param(
            ["--model", "fcn8s", "--fit", "letterbox", "--loss", "cross-entropy-dice",
             "--optimizer", "sgd", "--clip-norm", "1"],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_run_leaves_all_that_it_promises(more, drawn, run, tmp_path, capsys):
    data = f"masks:{drawn}"
    code, output, _ = run(
        "folder", "--data", data, *TINY, *more, "--workdir", tmp_path, "--name", "whole"
    )
    assert code == 0
    folder = tmp_path / "whole"
    for name in ["curves.png", "predictions.png", "report.md", "best.keras"]:
        assert (folder / name).stat().st_size > 0, name
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert card["classes"] == CLASSES
    report = json.loads((folder / "report.json").read_text())
    assert f"mean iou {report['metrics']['mean_iou']:.4f} on 5 images held out" in output
    assert [row["class"] for row in report["by_class"]] == CLASSES

    # The export by itself has the figures of the report.
    figures = tmp_path / "figures.json"
    arguments = ["evaluate", str(folder / "savedmodel"), "--data", data, "--json", str(figures)]
    assert cli.main(arguments) == 0
    figures = json.loads(figures.read_text())
    for name, value in report["metrics"].items():
        assert figures[name] == pytest.approx(value, abs=1e-6), name
    for row in report["by_class"]:
        assert figures[f"iou/{row['class']}"] == pytest.approx(row["IoU"], abs=1e-6)

    capsys.readouterr()
    pictures = tmp_path / "pictures"
    arguments = ["predict", str(folder / "savedmodel"), str(folder / "samples")]
    assert cli.main([*arguments, "--pictures", str(pictures)]) == 0
    assert list(pictures.iterdir())
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.slow
def test_second_head_learns_too(drawn, run, tmp_path):
    code, _, _ = run(
        "folder", "--data", f"masks:{drawn}", "--model", "fcn_resnet50", "--width", "0.0625",
        "--size", "64", "64", "--batch-size", "4", "--epochs", "1", "--auxiliary", "0.5",
        "--schedule", "polynomial", "--workdir", tmp_path, "--name", "two",
    )  # fmt: skip
    assert code == 0
    head = (tmp_path / "two/log.csv").read_text().splitlines()[0].split(",")
    assert {"aux_loss", "logits_loss", "val_mean_iou"} <= set(head)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "resnet18"], "--model resnet18 is none of fcn8s, "),
        (["--model", "sliding_window"], "--model sliding_window is none of "),
        (["--size", "72", "64"], "--size must be divisible by 32, got (72, 64)"),
        (["--tile", "100"], "--tile must be divisible by 32, with --fit pad, got 100 with pad"),
        (["--tile", "96", "--fit", "stretch"], "got 96 with stretch"),
        (["--size", "32", "64"], "--size, --tile: Tiles of 32 x 64 are too small"),
        (["--normalization", "image_max"], "give another normalization, or fit='letterbox'"),
        (["--balanced", "2"], "--balanced must be at most 1"),
        (["--auxiliary", "0.5"], "--auxiliary is for a second head, which unet has not"),
        (["--weights", "w.pth"], "--weights w.pth does not exist"),
        (["--data", "digits"], "digits"),
        (["--batch-size", "9"], "larger than the training set of 8 examples"),
    ],
)
def test_what_cannot_be(arguments, said, drawn, run, tmp_path):
    data = ("--data", f"masks:{drawn}", "--batch-size", "4")
    code, _, error = run("folder", *data, *arguments, "--workdir", tmp_path)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_mask_with_an_id_beyond_the_classes_stops_before_training(drawn, run, tmp_path):
    path = drawn / "masks/train/3.png"
    content = path.read_bytes()
    Image.fromarray(np.full(np.asarray(Image.open(path)).shape, 3, np.uint8)).save(path)
    try:
        code, _, error = run("folder", "--data", f"masks:{drawn}", "--workdir", tmp_path)
    finally:
        path.write_bytes(content)
    assert code == 2
    assert "masks/train/3.png: it has the class id 3" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("preset", "licence"), [("tissue", "(CC0)"), ("voc", "Flickr")])
def test_a_preset_whose_data_are_not_there_says_where_they_are(preset, licence, run, tmp_path):
    code, _, error = run(preset, "--workdir", tmp_path)
    assert code == 2
    assert "https://" in error or "http://" in error
    assert licence in error
