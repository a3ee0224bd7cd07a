import dataclasses
import json

import numpy as np
import pytest

from kerakit import cli
from recipes import video

RECIPE = video
CLASSES = ["left", "right"]
TINY = [
    "--size", "32", "32", "--frames", "4", "--width", "0.125", "--batch-size", "4", "--epochs", "2",
]  # fmt: skip


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A clips folder: a bright square that moves left or right, in frames of odd sizes."""
    av = pytest.importorskip("av")
    folder, draw = tmp_path_factory.mktemp("filmed"), np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        for sign, name in ((-1, "left"), (1, "right")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                length, height, width = int(draw.integers(5, 9)), 44, 50 + 2 * number
                with av.open(str(folder / part / name / f"{number}.mp4"), "w") as file:
                    stream = file.add_stream("mpeg4", rate=10)
                    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
                    y = int(draw.integers(0, height - 12))
                    for t in range(length):
                        frame = np.full((height, width, 3), 60, np.uint8)
                        x = width // 2 - 6 + sign * (t * 4 - 2 * length)
                        frame[y : y + 12, max(0, x) : max(0, x + 12)] = 220
                        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                        file.mux(stream.encode(picture))
                    file.mux(stream.encode(None))
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KERAKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.parametrize(
    "more",
    [
        ["--model", "r2plus1d_18", "--flip", "horizontal", "--flip-swaps", "left:right",
         "--reverse", "0.5", "--reverse-swaps", "left:right", "--ema", "0.9", "--clips", "2"],
        pytest.param(
            ["--model", "late_fusion", "--fusion", "recurrent", "--sampling", "uniform",
             "--crop", "0.8", "--color", "0.2", "--optimizer", "sgd"],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_run_leaves_all_that_it_promises(more, filmed, run, tmp_path, capsys):
    data = f"clips:{filmed}"
    code, output, _ = run(
        "folder", "--data", data, *TINY, *more, "--workdir", tmp_path, "--name", "whole"
    )
    assert code == 0
    folder = tmp_path / "whole"
    for name in ["curves.png", "confusion.png", "predictions.png", "scores.png", "best.keras"]:
        assert (folder / name).stat().st_size > 0, name
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert card["classes"] == CLASSES
    assert card["task"] == "video"
    report = json.loads((folder / "report.json").read_text())
    assert f"accuracy {report['metrics']['accuracy']:.4f} on 6 videos held out" in output
    assert ("accuracy_of_2_clips" in report["metrics"]) == ("--clips" in more)

    # The export by itself has the figures of the report.
    figures = tmp_path / "figures.json"
    arguments = ["evaluate", str(folder / "savedmodel"), "--data", data, "--json", str(figures)]
    assert cli.main(arguments) == 0
    figures = json.loads(figures.read_text())
    assert figures["accuracy"] == pytest.approx(report["metrics"]["accuracy"], abs=1e-6)

    capsys.readouterr()
    files = sorted(str(path) for path in filmed.glob("val/*/*.mp4"))
    assert cli.main(["predict", str(folder / "savedmodel"), *files]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert cli.main(["predict", str(folder / "savedmodel"), str(folder / "samples")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CLASSES)


@pytest.mark.parametrize("preset", ["moving-digits", "motion"])
@pytest.mark.parametrize(
    "model",
    ["single_frame", "early_fusion", "late_fusion", "c3d", "r3d_18", "mc3_18", "r2plus1d_18",
     "i3d", "slowfast", "video_transformer"],
)  # fmt: skip
def test_every_approach_is_one_flag_away(preset, model):
    config = dataclasses.replace(video.PRESETS[preset][1], model=model, width=0.0625)
    built = video.build(config, 5)
    assert built.input_shape == (None, config.frames, *config.size, 3)
    assert built.output_shape == (None, 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "resnet18"], "--model resnet18 is none of "),
        (["--model", "inflate"], "--model inflate is given a trained network of images"),
        (["--fusion", "average"], "--fusion is nothing that r2plus1d_18 has"),
        (["--flip", "both", "--flip-swaps", "left:up"], "--flip-swaps must be pairs of the class"),
        (["--flip-swaps", "left:right", "right:left"], "--flip-swaps must name each class once"),
        (["--reverse", "2"], "--reverse must be at most 1"),
        (["--frames", "0"], "--frames must be at least 1"),
        (["--frame-rate", "0"], "--frame-rate must be above 0"),
        (["--sampling", "uniform", "--stride", "2"], "--stride is for --sampling dense, got 2"),
        (["--data", "digits"], "digits"),
        (["--batch-size", "99"], "larger than the training set of 12 examples"),
    ],
)
def test_what_cannot_be(arguments, said, filmed, run, tmp_path):
    data = ("--data", f"clips:{filmed}", "--batch-size", "4", "--model", "r2plus1d_18")
    code, _, error = run("folder", *data, *arguments, "--workdir", tmp_path)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_preset_without_its_data_says_where_they_are(run, tmp_path):
    code, _, error = run("motion", "--workdir", tmp_path)
    assert code == 2
    assert "Drone-detection-dataset" in error
    assert "--data clips:DIR" in error
