import json

import pytest

from kerakit import cli
from recipes import detect

RECIPE = detect
TINY = ["--size", "64", "64", "--width", "0.25", "--batch-size", "4", "--epochs", "2"]


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("yolo_n", ["--mosaic", "0.5", "--jitter", "0.5", "--flip", "both", "--color", "0.2",
                    "--plain-epochs", "1", "--ema", "0.9"]),
        pytest.param(
            "maskrcnn_mobilenet_v2_fpn", ["--anchors", "8", "12", "16", "24", "32"],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_run_leaves_all_that_it_promises(model, more, rectangles, run, tmp_path, capsys):
    data = f"coco:{rectangles}"
    code, output, _ = run(
        "folder", "--data", data, "--model", model, *TINY, *more, "--workdir", tmp_path,
        "--name", "whole",
    )  # fmt: skip
    assert code == 0
    folder = tmp_path / "whole"
    masks = model.startswith("mask")
    files = ["curves.png", "precision_recall.png", "predictions.png", "report.md", "best.keras"]
    for name in [*files, *(["mask_precision_recall.png"] if masks else [])]:
        assert (folder / name).stat().st_size > 0, name
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert card["classes"] == ["red", "blue"]
    report = report_of(folder)
    headline = "mask_mAP@50" if masks else "mAP@50"
    assert f"{headline.replace('_', ' ')} {report['metrics'][headline]:.4f} on 5 images" in output
    counts = {row["class"]: row["objects"] for row in report["by_class"]}
    assert sum(counts.values()) == 0 + 1 + 2 + 3 + 0

    # The export by itself has the figures of the report.
    assert cli.main(["evaluate", str(folder / "savedmodel"), "--data", data, "--json",
                     str(tmp_path / "figures.json")]) == 0  # fmt: skip
    figures = json.loads((tmp_path / "figures.json").read_text())
    for name, value in report["metrics"].items():
        assert figures[name] == pytest.approx(value, abs=1e-6), name

    capsys.readouterr()
    pictures = tmp_path / "pictures"
    assert cli.main(["predict", str(folder / "savedmodel"), str(folder / "samples"), "--top", "2",
                     "--threshold", "0.0", "--pictures", str(pictures)]) == 0  # fmt: skip
    assert len(list(pictures.iterdir())) == 5
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5


def test_masks_are_asked_of_data_that_have_some(rectangles, run, tmp_path):
    path = rectangles / "annotations/instances_train.json"
    content = path.read_text()
    bad = json.loads(content)
    bad["annotations"][0]["segmentation"] = []
    path.write_text(json.dumps(bad))
    try:
        code, _, error = run(
            "folder", "--data", f"coco:{rectangles}", "--model", "maskrcnn_mobilenet_v2_fpn", *TINY,
            "--workdir", tmp_path,
        )  # fmt: skip
    finally:
        path.write_text(content)
    assert code == 2
    assert "annotation" in error
    assert "instances_train.json" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "resnet18"], "--model resnet18 is none of fast_rcnn, "),
        (["--size", "65", "64"], "--model yolo_n cannot be built so"),
        (["--model", "rcnn"], "--model rcnn is given its regions: see recipes.detect_regions."),
        (["--jitter", "0"], "--jitter must be above 0"),
        (["--weights", "w.pth"], "--weights w.pth is for a backbone, which yolo_n has not"),
        (["--model", "fasterrcnn_mobilenet_v2_fpn", "--weights", "w.pth"],
         "--weights w.pth does not exist"),
        (["--data", "digits"], "digits"),
    ],
)  # fmt: skip
def test_what_cannot_be(arguments, said, rectangles, run, tmp_path):
    data = ("--data", f"coco:{rectangles}", "--batch-size", "4")
    code, _, error = run("folder", *data, *arguments, "--workdir", tmp_path)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("preset", "licence"), [("blood-cells", "(MIT)"), ("nuclei", "(CC0)"), ("coco", "CC BY 4.0")]
)
def test_a_preset_whose_data_are_not_there_says_where_they_are(preset, licence, run, tmp_path):
    code, _, error = run(preset, "--workdir", tmp_path)
    assert code == 2
    assert "https://" in error
    assert licence in error
