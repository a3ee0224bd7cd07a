"""`kerakit predict` and `kerakit evaluate` with a model of clips."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from kerakit import export
from kerakit.cli import main
from kerakit.data import FrameSampling, Preparation, load
from kerakit.layers import PaddedConv3D
from tests.export.tiny import encoded, save_tiny, tiny_model
from tests.reference.video_files import write_video

CLASSES = ("falls", "rises")
PREPARATION = Preparation(height=12, width=10)
SAMPLING = FrameSampling(frames=4, stride=2)
SUFFIXES = ".avi, .gif, .m4v, .mkv, .mov, .mp4, .mpg, .webm, .wmv"


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(5)
    clips = keras.Input((4, 12, 10, 3))
    x = keras.layers.Rescaling(1 / 100)(clips)
    x = keras.layers.ReLU()(PaddedConv3D(6, 3)(x))
    return keras.Model(clips, keras.layers.Dense(2)(keras.layers.Flatten()(x)), name="clips")


def saved(model, folder, **options):
    return export.save(
        model, folder, preparation=PREPARATION, sampling=SAMPLING, classes=CLASSES, task="video",
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return saved(model, tmp_path_factory.mktemp("cli") / "clips")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working directory, with videos and images in it, and room for decoded ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAKIT_CACHE", str(tmp_path / "cache"))
    write_video(tmp_path / "films" / "a.mp4", 12)
    write_video(tmp_path / "films" / "sub" / "b.webm", 3)
    (tmp_path / "films" / "photo.jpg").write_bytes(encoded(30, 20, kind="JPEG"))
    return tmp_path


def probabilities(model, frames, *, clips=1):
    """(clips, K) by `model.predict`, of encoded frames as a source of clips gives them."""
    windows = SAMPLING.even(len(frames), clips=clips).numpy()
    pixels = [[PREPARATION(frames[number]).numpy() for number in window] for window in windows]
    logits = model.predict(np.array(pixels, "float32"), verbose=0).astype("float64")
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def kept(path, place, **options):
    """The frames of a video as `clips:DIR` keeps them for training and evaluation."""
    for name in CLASSES:
        shutil.rmtree(place / "set" / name, ignore_errors=True)
        for part in ("train", "val"):
            (place / "set" / part / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place / "set" / part / name / path.name)
    source = load(f"clips:{place}/set", task="video", **options).val_source
    return next(source.encoded_dataset().as_numpy_iterator())["frames"]


def test_predict_answers_as_the_model_was_judged(exported, model, place, capsys):
    # Larger than a kept frame, so that the shrinking is seen to be the same.
    film = write_video(place / "large.mp4", 12, size=(300, 320))
    (expected,) = probabilities(model, kept(film, place))
    capsys.readouterr()
    assert (
        main(["predict", str(exported), "large.mp4", "--json", "answers.json", "--top", "2"]) == 0
    )
    best = int(expected.argmax())
    line = f"large.mp4  {CLASSES[best]}  {expected[best]:.4f}  "
    assert capsys.readouterr().out.startswith(line)
    (record,) = json.loads((place / "answers.json").read_text())
    assert (record["file"], record["class"]) == ("large.mp4", CLASSES[best])
    found = {one["class"]: one["probability"] for one in record["top"]}
    assert found == pytest.approx(dict(zip(CLASSES, expected, strict=True)), abs=1e-6)
    assert "scores" not in record


def test_several_clips_are_averaged_and_told_over_time(exported, model, place, capsys):
    expected = probabilities(model, kept(place / "films" / "a.mp4", place), clips=3)
    assert np.ptp(expected[:, 0]) > 1e-3  # or the order of the clips would not be seen
    command = ["predict", str(exported), "films/a.mp4", "--clips", "3", "--json", "answers.json"]
    assert main([*command, "--pictures", "drawn"]) == 0
    (record,) = json.loads((place / "answers.json").read_text())
    assert record["probability"] == pytest.approx(expected.mean(axis=0).max(), abs=1e-6)
    # 12 frames, 10 a second; windows of 7 from 0, 2 and 5.
    assert [(one["start"], one["end"]) for one in record["scores"]] == [
        (0.0, 0.6), (0.2, 0.8), (0.5, 1.1),
    ]  # fmt: skip
    for one, row in zip(record["scores"], expected, strict=True):
        told = dict(zip(CLASSES, row, strict=True))
        assert one["probabilities"] == pytest.approx(told, abs=1e-6)

    assert main(["predict", str(exported), "films/a.mp4", "--pictures", "single"]) == 0
    with Image.open("drawn/a.png") as several, Image.open("single/a.png") as single:
        assert several.width == single.width == 1000
        assert several.height >= single.height + 200  # the scores over time
        pixels = np.asarray(single.convert("L"))
    # Of the strip, eight frames that become brighter: seven white gaps, and rising greys.
    row = pixels[round(0.8 * single.height)]
    greys = [row[round((i + 0.5) * 125)] for i in range(8)]
    assert all(np.diff(np.array(greys, int)) > 10)


def test_a_folder_of_videos_and_images(exported, model, place, capsys):
    assert main(["predict", str(exported), "films"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["films/a.mp4", "films/sub/b.webm"]
    tiny = save_tiny(tiny_model(), place / "tiny")
    assert main(["predict", str(tiny), "films"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["films/photo.jpg"]


def test_what_is_broken_or_of_another_kind_is_told_and_the_others_go_on(exported, place, capsys):
    whole = (place / "films" / "a.mp4").read_bytes()
    (place / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    files = ["cut.mp4", "films/photo.jpg", "films/a.mp4"]
    assert main(["predict", str(exported), *files, "--json", "answers.json"]) == 1
    printed = capsys.readouterr()
    (line,) = printed.out.splitlines()
    assert line.startswith("films/a.mp4")
    cut, photo, count = printed.err.splitlines()
    assert cut.startswith("error: cut.mp4 cannot be read as a video (")
    assert photo == (
        f"error: films/photo.jpg is an image, and this model takes videos ({SUFFIXES})."
    )
    assert count == "2 of 3 videos could not be read."
    records = json.loads((place / "answers.json").read_text())
    assert [record.get("error", "")[:8] for record in records] == ["cut.mp4 ", "films/ph", ""]

    tiny = save_tiny(tiny_model(), place / "tiny")
    assert main(["predict", str(tiny), "films/a.mp4", "films/photo.jpg"]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "error: films/a.mp4 is a video, and this model takes images.",
        "1 of 2 images could not be read.",
    ]
    assert printed.out.startswith("films/photo.jpg")


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in argv])
    assert caught.value.code == 2
    return capsys.readouterr().err.strip()


def test_refused_as_a_whole(exported, place, capsys, monkeypatch):
    (place / "photos").mkdir()
    shutil.copy("films/photo.jpg", "photos")
    assert refused(capsys, "predict", exported, "photos") == (
        f"error: photos: there are no videos, which this model takes; looked for {SUFFIXES}."
    )
    tiny = save_tiny(tiny_model(), place / "tiny")
    assert refused(capsys, "predict", tiny, "films", "--clips", "2") == (
        f"error: --clips is for a model of videos, and {tiny} is none."
    )
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert refused(capsys, "predict", exported, "films") == (
        "error: This needs the package av, which is not installed: pip install kerakit[video]"
    )


def test_the_models_frame_rate(model, place, capsys):
    folder = saved(model, place / "slow", frame_rate=5)
    film = place / "films" / "a.mp4"
    frames = kept(film, place, frame_rate=5)
    assert len(frames) == 6
    (expected,) = probabilities(model, frames)
    assert main(["predict", str(folder), str(film), "--json", "answers.json"]) == 0
    (record,) = json.loads((place / "answers.json").read_text())
    assert record["probability"] == pytest.approx(expected.max(), abs=1e-6)
    with pytest.raises(ValueError, match="`frame_rate` must be positive, and for video, got -1"):
        saved(model, place / "slow", frame_rate=-1)


@pytest.mark.parametrize("rate", [None, 5])
def test_evaluate(rate, model, place, capsys):
    folder = saved(model, place / "models", frame_rate=rate)
    for number, name in enumerate((*CLASSES, *CLASSES, CLASSES[0])):
        for part in ("train", "val"):
            write_video(place / "set" / part / name / f"{number}.mp4", 3 + 2 * number)
    source = f"clips:{place}/set"
    command = ["evaluate", str(folder), "--data", source, "--json", "figures.json"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"{folder} on the 5 validation videos of {source}" in lines
    examples = load(source, task="video", frame_rate=rate).val_source.encoded_dataset()
    right = [
        probabilities(model, example["frames"])[0].argmax() == example["label"]
        for example in examples.as_numpy_iterator()
    ]
    figures = json.loads((place / "figures.json").read_text())
    assert figures["accuracy"] == pytest.approx(np.mean(right))
    assert figures["images"] == 5
    assert {"precision_macro", "recall_macro", "f1_macro"} < set(figures)


def test_help_says_what_it_takes(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for said in ("mp4, avi, gif, webm, mov, mkv", "--clips N", "film strip"):
        assert said in text
