import json

import numpy as np
import pytest

from kerakit import runs, training
from recipes import detect_regions

RECIPE = detect_regions
TINY = ["--size", "64", "64", "--proposals", "40", "--quality", "single", "--batch-size", "4"]

pytest.importorskip("cv2", reason="selective search needs the extra proposals")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fast_rcnn", "rcnn"])
def test_a_run_leaves_all_that_it_promises(model, rectangles, run, tmp_path):
    code, output, _ = run(
        "folder", "--data", f"coco:{rectangles}", "--model", model, *TINY, "--epochs", "1",
        "--crop", "32", "--svm-epochs", "2", "--workdir", tmp_path, "--name", "whole",
    )  # fmt: skip
    assert code == 0
    folder = tmp_path / "whole"
    for name in ("curves.png", "precision_recall.png", "predictions.png", "report.md"):
        assert (folder / name).stat().st_size > 0, name
    report = json.loads((folder / "report.json").read_text())
    assert report["metrics"]["images"] == 5
    assert f"mAP@50 {report['metrics']['mAP@50']:.4f} on 5 images held out" in output
    assert ("SVMs from" in output) == (model == "rcnn")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "precision"), [("fast_rcnn", "mixed_float16"), ("rcnn", "mixed_bfloat16")]
)
def test_half_precision_learns_and_float32_is_judged(
    model, precision, rectangles, run, tmp_path, monkeypatch
):
    """What `fit` trained computes in half precision; what is judged has its weights in float32."""
    seen = {}
    fit, judge = training.fit, runs.judge_detector

    def watched_fit(trained, *arguments, **options):
        fit(trained, *arguments, **options)
        seen["trained"] = trained

    def watched_judge(run, judged, *arguments, **options):
        seen["judged"] = judged
        return judge(run, judged, *arguments, **options)

    monkeypatch.setattr(training, "fit", watched_fit)
    monkeypatch.setattr(runs, "judge_detector", watched_judge)
    code, _, error = run(
        "folder", "--data", f"coco:{rectangles}", "--model", model, *TINY, "--epochs", "1",
        "--crop", "32", "--svm-epochs", "1", "--precision", precision, "--workdir", tmp_path,
        "--name", "half",
    )  # fmt: skip
    assert code == 0, error
    report = json.loads((tmp_path / "half" / "report.json").read_text())
    assert 0 <= report["metrics"]["mAP"] <= 1
    network = "backbone" if model == "fast_rcnn" else "features"
    trained, judged = (getattr(seen[name], network) for name in ("trained", "judged"))
    kinds = {layer.compute_dtype for layer in trained.layers if layer.weights}
    assert precision.removeprefix("mixed_") in kinds
    assert {layer.compute_dtype for layer in judged.layers} == {"float32"}
    for learnt, kept in zip(trained.get_weights(), judged.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, learnt)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--save-every", "-1"], "--save-every must be at least 0"),
        (["--workers", "2", "--devices", "cpu"], "--workers 2 needs --devices auto or multiworker"),
        (["--devices", "multiworker"], "TF_CONFIG names no other worker"),
        (["--crop", "31"], "--crop must be at least 32, got 31"),
        (["--weights", "no.pth"], "--weights no.pth does not exist"),
        (["--images", "3"], "A batch of 4 is larger than the training set of 3 examples"),
    ],
)
def test_what_cannot_be(arguments, said, rectangles, run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "runs"
    code, _, error = run(
        "folder", "--data", f"coco:{rectangles}", *TINY, *arguments, "--workdir", work
    )
    assert code == 2
    assert said in error
    assert not work.exists()


def test_a_preset_whose_data_are_not_there_says_where_they_are(run, tmp_path):
    code, _, error = run("blood-cells", "--workdir", tmp_path)
    assert code == 2
    assert "https://github.com/Shenggan/BCCD_Dataset" in error
