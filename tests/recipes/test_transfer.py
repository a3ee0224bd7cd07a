import csv
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.data import Preparation, load
from kerakit.models.classification import resnet18
from kerakit.training import split_head
from recipes import transfer

RECIPE = transfer
ROOT = pathlib.Path(__file__).parents[2]
SIZE = (40, 48)
PREPARATION = Preparation(height=SIZE[0], width=SIZE[1])
SMALL = ["--model", "resnet18", "--width", "0.0625", "--size", *map(str, SIZE)]
SMALL += ["--batch-size", "8", "--epochs", "1", "--head-epochs", "40"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Noise of three colours, in folders train and val."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for name, tint in (("red", (150, 0, 0)), ("green", (0, 150, 0)), ("blue", (0, 0, 150))):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 100, (50, 60, 3)) + np.array(tint)
                Image.fromarray(pixels.astype("uint8")).save(folder / part / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of a small ResNet-18 with 7 classes, as torchvision would lay it out."""
    keras.utils.set_random_seed(5)
    model = resnet18(width=0.0625, num_classes=7, input_shape=(*SIZE, 3))
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    names["moving_variance"] = "running_var"
    arrays = {}
    for layer in model.layers:
        for variable in layer.weights:
            value = variable.numpy()
            value = value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim])
            arrays[f"{layer.name}.{names.get(variable.name, variable.name)}"] = value
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    np.savez(path, **arrays)
    return path, model


@pytest.fixture(scope="module")
def finished(photos, weights, tmp_path_factory):
    """The folder of one run of all three modes."""
    workdir = tmp_path_factory.mktemp("runs")
    arguments = ["folder", "--mode", "all", "--data", f"folder:{photos}", "--flip"]
    arguments += ["--weights", str(weights[0]), "--workdir", str(workdir), "--name", "three"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(ROOT / "recipes/transfer.py"), *arguments, *SMALL])
        transfer.main()
    return workdir / "three"


def body_of(path):
    model = keras.saving.load_model(path, compile=False)
    return [w.numpy() for w in split_head(model)[0].weights]


def test_the_report_shows_the_three_side_by_side(finished):
    report = (finished / "report.md").read_text()
    for mode in ("scratch", "frozen", "finetune"):
        record = json.loads((finished / mode / "report.json").read_text())
        accuracy = f"{record['metrics']['accuracy']:.4f}"
        assert f"| [{mode}]({mode}/report.md) | {accuracy} | " in report
    assert (finished / "curves.png").stat().st_size > 0


@pytest.mark.parametrize("mode", ["scratch", "frozen", "finetune"])
def test_the_export_answers_as_the_whole_network_predicts(mode, finished, photos):
    model = keras.saving.load_model(finished / mode / "best.keras", compile=False)
    encoded = [p.read_bytes() for p in sorted((photos / "val").rglob("*.png"))]
    served = tf.saved_model.load(finished / mode / "savedmodel" / "1")
    answers = served.signatures["serving_default"](image_bytes=tf.constant(encoded))
    expected = model.predict(PREPARATION.batch(tf.constant(encoded)).numpy(), verbose=0)
    assert expected.shape == (12, 3)
    np.testing.assert_allclose(answers["logits"], expected, rtol=1e-4, atol=1e-5)


def test_frozen_learns_the_head_alone_from_features_that_are_kept(finished, weights, photos):
    body = split_head(weights[1])[0]
    for found, given in zip(
        body_of(finished / "frozen" / "best.keras"), body.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, given)
    with np.load(finished / "frozen" / "features_train.npz") as file:
        features, labels = file["features"], file["labels"]
    examples = list(load(f"folder:{photos}").train.as_numpy_iterator())
    images = np.stack([PREPARATION.resize(example["image"]) for example in examples])
    expected = body.predict(np.concatenate([images, images[:, :, ::-1]]), verbose=0)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, [example["label"] for example in examples] * 2)
    # Three colours: chance is a third. What is served is the trained head.
    report = json.loads((finished / "frozen" / "report.json").read_text())
    assert report["metrics"]["accuracy"] > 0.5


def test_finetune_moves_the_body_and_scratch_begins_elsewhere(finished, weights):
    given = split_head(weights[1])[0].get_weights()
    first = {mode: body_of(finished / mode / "best.keras")[0] for mode in ("finetune", "scratch")}
    change = np.abs(first["finetune"] - given[0]).max()
    assert 0 < change < 0.01 * np.abs(given[0]).max()  # four steps at 3e-4 and less
    assert np.abs(first["scratch"] - given[0]).max() > 0.1 * np.abs(given[0]).max()


def test_a_stopped_comparison_keeps_what_was_finished(finished, photos, weights, run):
    (finished / "report.json").unlink()
    before = (finished / "finetune" / "report.json").stat().st_mtime_ns
    code, output, error = run(
        "folder", "--mode", "all", "--data", f"folder:{photos}", "--flip", "--weights",
        weights[0], "--workdir", finished.parent, "--name", "three", *SMALL,
    )  # fmt: skip
    assert code == 0, error
    assert "Going on with" in output
    assert (finished / "finetune" / "report.json").stat().st_mtime_ns == before
    assert (finished / "report.json").exists()


def test_an_earlier_run_is_a_start_too(finished, photos, tmp_path, run):
    """With still statistics, layers that join one by one, and no stage of the head alone."""
    earlier = finished / "finetune" / "best.keras"
    code, _, error = run(
        "folder", "--mode", "finetune", "--data", f"folder:{photos}", "--weights", earlier,
        "--workdir", tmp_path, *SMALL, "--head-epochs", "0", "--batch-norm", "frozen",
        "--unfreeze-epochs", "2",
    )  # fmt: skip
    assert code == 0, error
    (folder,) = tmp_path.iterdir()
    before = keras.saving.load_model(earlier, compile=False)
    after = keras.saving.load_model(folder / "best.keras", compile=False)
    for layer in before.layers:
        twin = after.get_layer(layer.name)
        for old, new in zip(layer.get_weights(), twin.get_weights(), strict=True):
            if isinstance(layer, keras.layers.BatchNormalization):
                np.testing.assert_array_equal(new, old)
    # It ended at half of the time in which they join: the first half of the layers never moved.
    first, last = "conv1", "layer4_1_conv2"
    np.testing.assert_array_equal(
        after.get_layer(first).kernel.numpy(), before.get_layer(first).kernel.numpy()
    )
    assert np.any(after.get_layer(last).kernel.numpy() != before.get_layer(last).kernel.numpy())
    with open(folder / "log.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


@pytest.mark.parametrize(
    ("mode", "precision"),
    [
        ("frozen", "mixed_bfloat16"),
        pytest.param("finetune", "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_half_precision_learns_and_the_export_computes_in_float32(
    mode, precision, photos, weights, tmp_path, run
):
    code, _, error = run(
        "folder", "--mode", mode, "--precision", precision, "--data", f"folder:{photos}",
        "--weights", weights[0], "--workdir", tmp_path, "--name", "half", *SMALL,
        "--head-epochs", "3", "--batch-norm", "frozen",
    )  # fmt: skip
    assert code == 0, error
    folder = tmp_path / "half"
    card = json.loads((folder / "savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    learnt = keras.saving.load_model(folder / "best.keras", compile=False)
    assert learnt.get_layer("conv1").compute_dtype == precision.removeprefix("mixed_")
    assert learnt.layers[-1].compute_dtype == "float32"

    # What is served is the same weights in a network that knows nothing of half precision.
    model = resnet18(width=0.0625, num_classes=3, input_shape=(*SIZE, 3))
    model.set_weights(learnt.get_weights())
    encoded = [p.read_bytes() for p in sorted((photos / "val").rglob("*.png"))]
    served = tf.saved_model.load(folder / "savedmodel" / "1").signatures["serving_default"]
    pixels = PREPARATION.batch(tf.constant(encoded)).numpy()
    logits = served(image_bytes=tf.constant(encoded))["logits"]
    np.testing.assert_allclose(logits, model.predict(pixels, verbose=0), rtol=1e-4, atol=1e-5)

    # The head learnt from features in half precision: near those of float32, and not the same.
    examples = load(f"folder:{photos}").train.as_numpy_iterator()
    images = np.stack([PREPARATION.resize(example["image"]) for example in examples])
    exact = split_head(weights[1])[0].predict(images, verbose=0)
    with np.load(folder / "features_train.npz") as file:
        difference = np.abs(file["features"] - exact).max()
    assert 0 < difference < 0.05 * np.abs(exact).max()

    for given, layer in zip(weights[1].layers, learnt.layers, strict=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            for old, new in zip(given.get_weights(), layer.get_weights(), strict=True):
                np.testing.assert_array_equal(new, old)


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one(finished, photos, weights, tmp_path):
    arguments = ["folder", "--mode", "frozen", "--data", f"folder:{photos}", "--flip"]
    arguments += ["--weights", str(weights[0]), "--workdir", str(tmp_path), "--name", "two"]
    result = subprocess.run(
        [sys.executable, "-m", "recipes.transfer", *arguments, *SMALL, "--workers", "2"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert "2 replicas of 2 workers, each with 4 of a batch's 8 examples" in result.stdout
    assert [folder.name for folder in tmp_path.iterdir()] == ["two"]  # the chief's alone
    losses = []
    for folder in (finished / "frozen", tmp_path / "two"):
        with open(folder / "log.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        losses.append([[float(row["loss"]), float(row["val_loss"])] for row in rows])
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    with (
        np.load(finished / "frozen/features_val.npz") as one,
        np.load(tmp_path / "two/features_val.npz") as two,
    ):
        np.testing.assert_allclose(two["features"], one["features"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "thaw"], "thaw"),
        (["--precision", "float16"], "mixed_float16"),
        (["--mode", "scratch", "--save-every", "-1"], "--save-every must be at least 0"),
        (["--workers", "2", "--devices", "cpu"], "--workers 2 needs --devices auto or multiworker"),
        (["--mode", "scratch", "--devices", "multiworker"], "TF_CONFIG names no other worker"),
        (["--mode", "frozen"], "--mode frozen starts from trained weights: give --weights FILE"),
        (["--weights", "mobilenet_v2-b0353104.pth"], "curl -O https://download.pytorch.org"),
        (["--weights", "WEIGHTS", "--width", "0.25"], "does not fit resnet18"),
        (["--weights", "WEIGHTS", "--model", "mobilenet_v2"], "does not fit mobilenet_v2"),
        (["--weights", "WEIGHTS", "--model", "lenet"], "--model lenet is none of alexnet, "),
        (["--weights", "x", "--model", "keras:LeNet"], "keras.applications has no LeNet"),
        (["--weights", "WEIGHTS", "--layer-decay", "1.5"], "--layer-decay must be at most 1"),
        (["--mode", "scratch", "--data", "folder:sign-digits"], "Apache-2.0"),
    ],
)
def test_bad_settings_end_in_one_sentence(arguments, message, photos, weights, tmp_path, run):
    given = [str(weights[0]) if value == "WEIGHTS" else value for value in arguments]
    data = [] if "--data" in given else ["--data", f"folder:{photos}"]
    code, _, error = run("folder", *data, *SMALL, "--workdir", tmp_path, *given)
    assert code == 2
    assert message in " ".join(error.split())
    assert not list(tmp_path.iterdir())  # no run was begun


PRETRAINED = "pretrained/mobilenet_v2_torchvision_b0353104.npz"  # beside the packs


@pytest.mark.slow
def test_real_weights_tell_real_hands_apart(packs, run, tmp_path):
    code, _, error = run(
        "sign-digits", "--mode", "frozen", "--workdir", tmp_path,
        "--data", f"folder:{packs}/classification-sign-digits",
        "--weights", packs.parent / PRETRAINED,
    )  # fmt: skip
    assert code == 0, error
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text())["metrics"]["accuracy"] >= 0.9


@pytest.mark.slow
def test_real_weights_help_where_images_are_few(packs, run, tmp_path):
    """Ten images of each of ten signs to learn from; the people held out are all there."""
    few = tmp_path / "few"
    for image in sorted((packs / "classification-sign-digits").glob("*/*/*.jpg")):
        part, sign = image.parts[-3:-1]
        folder = few / part / sign
        folder.mkdir(parents=True, exist_ok=True)
        if part == "val" or len(list(folder.iterdir())) < 10:
            (folder / image.name).symlink_to(image)
    accuracy = {}
    for mode in ("frozen", "scratch"):
        code, _, error = run(
            "sign-digits", "--mode", mode, "--size", "96", "96", "--batch-size", "20",
            "--workdir", tmp_path, "--name", mode, "--data", f"folder:{few}",
            "--weights", packs.parent / PRETRAINED,
        )  # fmt: skip
        assert code == 0, error
        report = json.loads((tmp_path / mode / "report.json").read_text())
        accuracy[mode] = report["metrics"]["accuracy"]
    print(accuracy)
    assert accuracy["frozen"] > accuracy["scratch"] + 0.2
