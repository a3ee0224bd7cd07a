"""Exports that answer with a class for each pixel."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit import export
from kerakit.cli import main
from kerakit.data import Data, Preparation, StreamSource
from kerakit.errors import InputError
from kerakit.export.drawn import class_color
from kerakit.export.masks import mask_differences
from kerakit.export.masks_told import masks_told, overlay, with_legend
from kerakit.metrics import SegmentationScores
from tests.export.segmenters import CLASSES, RADIUS, STRIDE, pixels, segmenter

PADDED = Preparation(height=32, width=40, fit="pad")
TILING = export.Tiling(margin=RADIUS, blend=3, stride=STRIDE)


@pytest.fixture(scope="module")
def model():
    return segmenter()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return save(model, tmp_path_factory.mktemp("masks"))


def save(model, folder, **options):
    given = {"preparation": PADDED, "classes": CLASSES, "task": "segmentation"}
    if options.get("preparation", PADDED).fit == "pad":
        given["tiling"] = TILING
    return export.save(model, folder, **given | options)


def png(image):
    return tf.io.encode_png(image).numpy()


SIZES = [(1, 1), (255, 257), (20, 33), (32, 40), (33, 90)]


def test_each_image_is_answered_at_its_own_size(folder, model):
    images = [pixels(*size, seed=n) for n, size in enumerate(SIZES)]
    probabilities_of = export.whole_image(model, preparation=PADDED, tiling=TILING)
    answers = list(export.Served(folder).answer([png(image) for image in images]))
    for image, answer in zip(images, answers, strict=True):
        expected = probabilities_of(image).numpy()
        assert answer["mask"].dtype == np.uint8
        assert tuple(answer["image_size"]) == answer["mask"].shape == image.shape[:2]
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
        np.testing.assert_array_equal(answer["mask"], answer["probabilities"].argmax(axis=-1))
    assert len(np.unique(answers[1]["mask"])) == 3


def test_a_batch_of_unlike_sizes_is_padded(folder):
    loaded = tf.saved_model.load(str(folder)).signatures["serving_default"]
    files = [png(pixels(*size, seed=n)) for n, size in enumerate(SIZES)]
    found = {name: value.numpy() for name, value in loaded(tf.constant(files)).items()}
    assert found["mask"].shape == (5, 255, 257)
    np.testing.assert_array_equal(found["image_size"], SIZES)
    answers = export.Served(folder).answer(files)
    for number, (answer, (height, width)) in enumerate(zip(answers, SIZES, strict=True)):
        mask, probabilities = found["mask"][number], found["probabilities"][number]
        np.testing.assert_array_equal(mask[:height, :width], answer["mask"])
        np.testing.assert_array_equal(probabilities[:height, :width], answer["probabilities"])
        assert (mask[height:] == 255).all()
        assert (mask[:, width:] == 255).all()
        assert not probabilities[height:].any()
        assert not probabilities[:, width:].any()


def test_prepared_pixels_go_through_the_other_signature(folder, model):
    tiles = np.stack([pixels(32, 40, seed=n) for n in range(3)])
    found = tf.saved_model.load(str(folder)).signatures["tensors"](images=tf.constant(tiles))
    assert set(found) == {"mask", "probabilities"}
    logits = model.predict(tiles.astype("float32"), verbose=0)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found["mask"], logits.argmax(axis=-1))


def test_card(folder):
    card = json.loads((folder / "card.json").read_text())
    assert card["task"] == "segmentation"
    assert card["tiling"] == {"margin": RADIUS, "blend": 3, "stride": STRIDE}
    outputs = {name: part["outputs"] for name, part in card["signatures"].items()}
    assert outputs["serving_default"]["probabilities"]["shape"] == [None, None, None, 3]
    assert outputs["serving_default"]["image_size"]["dtype"] == "int32"
    assert outputs["tensors"]["mask"]["shape"] == [None, 32, 40]
    assert "image_size" not in outputs["tensors"]


KINDS = {
    "tiled": ({"size": (32, 40)}, {}),
    "valid and auxiliary": (
        {"padding": "valid", "auxiliary": True},
        {"tiling": export.Tiling(margin=0, blend=2, stride=2)},
    ),
    "scaled, a norm folded": (
        {"norm": True},
        {"preparation": Preparation(height=32, width=40, fit="letterbox")},
    ),
}


# Each makes a process that loads TensorFlow anew.
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "tiled")) for kind in KINDS]
)
def test_verification(kind, tmp_path):
    of_model, of_export = KINDS[kind]
    model = segmenter(**of_model)
    if of_model.get("norm"):
        model.get_layer("norm").moving_mean.assign([0.5, -0.3, 0.1])
    version = save(model, tmp_path, **of_export)
    found = export.verify(version, model, images=[png(pixels(61, 70)), png(pixels(9, 8))])
    assert found.passed
    assert found.worst <= 1e-5
    is_tiled = "image of several tiles / serving_default" in found.differences
    assert is_tiled == (not of_model.get("norm"))
    assert json.loads((version / "card.json").read_text())["folded"] == (not is_tiled)


@pytest.mark.slow
def test_another_model_fails_the_verification(folder, model, tmp_path):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.get_layer("head").bias.assign([0.0, 0.1, 0.0])
    copy = shutil.copytree(folder, tmp_path / "1")
    with pytest.raises(
        export.VerificationError, match="the largest difference is 0.04.*, in mask of"
    ):
        export.verify(copy, other)


def expected_and(**changes):
    probabilities = np.array([[[[0.7, 0.3], [0.45, 0.55], [0.0, 0.0]]]])
    mask = np.array([[[0, 1, 255]]], "uint8")
    size = np.array([[1, 2]])
    one = {"probabilities": probabilities, "mask": mask, "image_size": size}
    return one, {**one, **changes}


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({}, "mask", 0.0),
        ({"mask": np.array([[[0, 0, 255]]], "uint8")}, "mask", 0.1),
        ({"mask": np.array([[[1, 1, 255]]], "uint8")}, "mask", 0.4),
        ({"mask": np.array([[[0, 1, 0]]], "uint8")}, "mask", np.inf),
        ({"mask": np.array([[[0, 2, 255]]], "uint8")}, "mask", np.inf),
        ({"mask": np.array([[[0, 1]]], "uint8")}, "mask", np.inf),
        ({"probabilities": np.full((1, 1, 3, 2), np.nan)}, "probabilities", np.inf),
        ({"probabilities": np.zeros((1, 1, 2, 2))}, "probabilities", np.inf),
        ({"image_size": np.array([[1, 3]])}, "image_size", np.inf),
    ],
)
def test_differences_by_hand(changes, name, value):
    found = mask_differences(*expected_and(**changes))
    assert set(found) == {"probabilities", "mask", "image_size"}
    assert found[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ["a", "b"]}, r"`classes` has 2 names, .* \(None, None, 3\) an image"),
        ({"classes": [str(n) for n in range(256)]}, "`classes` may have 255 names"),
        (
            {"task": "classification"},
            "`classes` has 3 names, and the model's outputs are",
        ),
        ({"preparation": Preparation(height=32, width=40, fit="crop")}, "fit='crop' cuts it"),
        ({"tiling": export.Tiling(margin=20)}, "Tiles of 32 x 40 are too small"),
    ],
)
def test_what_does_not_fit(options, said, model, tmp_path):
    with pytest.raises(ValueError, match=said):
        save(model, tmp_path, **options)


def test_a_tiling_is_for_masks(tmp_path):
    dense = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
    dense.add(keras.layers.Dense(2))
    preparation = Preparation(height=4, width=4)
    with pytest.raises(ValueError, match="`tiling` is for the task segmentation"):
        export.save(dense, tmp_path, preparation=preparation, classes=["a", "b"], tiling=TILING)


def test_probabilities_are_refused(tmp_path):
    model = segmenter()
    model.layers[-1].activation = keras.activations.softmax
    with pytest.raises(ValueError, match="`model` must end in logits"):
        save(model, tmp_path)


def data_of(images, masks, classes=CLASSES):
    def examples():
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            yield {
                "encoded": png(image),
                "encoded_mask": png(mask[..., None]),
                "example_id": np.int32(number),
            }

    signature = {
        "encoded": tf.TensorSpec((), tf.string),
        "encoded_mask": tf.TensorSpec((), tf.string),
        "example_id": tf.TensorSpec((), tf.int32),
    }
    dataset = tf.data.Dataset.from_generator(examples, output_signature=signature)
    source = StreamSource(len(images), dataset)
    return Data(
        train_source=source, val_source=source, classes=classes, name="set", task="segmentation"
    )


def test_scored_on_the_original_masks(folder, rng):
    images = [pixels(*size, seed=n) for n, size in enumerate(SIZES)]
    masks = [rng.choice([0, 1, 2, 255], size).astype("uint8") for size in SIZES]
    served = export.Served(folder)
    answers = served.answer([png(image) for image in images])
    metric = SegmentationScores(3, from_scores=False, classes=CLASSES, per_class=True)
    for mask, answer in zip(masks, answers, strict=True):
        metric.update_state(mask, answer["mask"])
    figures = export.score(served, data_of(images, masks))
    assert figures == {"images": 5, **metric.figures()}
    assert 0.05 < figures["mean_iou"] < 0.6
    with pytest.raises(InputError, match="in another order"):
        export.score(served, data_of(images, masks, classes=CLASSES[::-1]))


def test_a_class_that_is_nowhere_has_no_figure(tmp_path):
    model = segmenter()
    model.get_layer("head").bias.assign([1000.0, 0.0, 0.0])
    served = export.Served(save(model, tmp_path))
    figures = export.score(served, data_of([pixels(8, 9)], [np.zeros((8, 9), "uint8")]))
    assert figures["mean_iou"] == figures["iou/background"] == 1
    assert "iou/cell" not in figures


def test_predict_writes_masks_overlays_and_shares(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = pixels(50, 30)
    (tmp_path / "photo.png").write_bytes(png(image))
    arguments = ["--masks", "ids", "--pictures", "drawn", "--json", "answers.json"]
    assert main(["predict", str(folder), "photo.png", *arguments]) == 0
    mask = next(iter(export.Served(folder).answer([png(image)])))["mask"]
    np.testing.assert_array_equal(np.asarray(Image.open("ids/photo.png")), mask)
    shares = {name: float((mask == k).mean()) for k, name in enumerate(CLASSES)}
    (record,) = json.loads((tmp_path / "answers.json").read_text())
    assert record == {
        "file": "photo.png",
        "image_size": [50, 30],
        "shares": pytest.approx(shares),
    }
    largest = max(shares, key=shares.get)
    assert f"{largest} {100 * shares[largest]:.1f} %" in capsys.readouterr().out
    drawn = np.asarray(Image.open("drawn/photo.png").convert("RGB"))
    factor = -(-640 // 50)
    assert drawn.shape[0] > 50 * factor
    for k in (0, 1, 2):
        row, column = np.argwhere(mask == k)[0]
        expected = image[row, column].astype(float)
        if k:
            expected += 110 / 255 * (np.array(class_color(k)) - expected)
        middle = drawn[row * factor + factor // 2, column * factor + factor // 2]
        np.testing.assert_allclose(middle, expected, atol=0.51)


def test_masks_of_another_task_are_refused(tmp_path, capsys):
    preparation = Preparation(height=4, width=4)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    export.save(model, tmp_path / "e", preparation=preparation, classes=["a", "b"])
    (tmp_path / "photo.png").write_bytes(png(pixels(4, 4)))
    arguments = [str(tmp_path / "e"), str(tmp_path / "photo.png"), "--masks", str(tmp_path / "m")]
    with pytest.raises(SystemExit):
        main(["predict", *arguments])
    assert "--masks is for a model that gives a class for each pixel" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", *arguments[:2], "--masks", str(tmp_path)])
    assert f"--masks {tmp_path} would overwrite" in capsys.readouterr().err


def test_ignored_pixels_are_neither_counted_nor_tinted():
    mask = np.array([[1, 255], [0, 0]], "uint8")
    words, record = masks_told(mask, CLASSES, top=1)
    assert words == ["background 66.7 %"]
    assert record["shares"]["bée"] == pytest.approx(1 / 3)
    grey = Image.new("RGB", (2, 2), (90, 90, 90))
    tinted = overlay(grey, mask, CLASSES)
    corners = [tinted.getpixel((x, y)) for y in (9, 630) for x in (9, 630)]
    assert corners[0] != (90, 90, 90)
    assert corners[1:] == [(90, 90, 90)] * 3
    named = with_legend(grey, mask, CLASSES)
    assert named.height == 2 + 2 * 24 + 8
