"""Exports that answer with objects."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit import export
from kerakit.data import Preparation
from kerakit.export.detections import detection_differences
from kerakit.export.objects_told import objects_told, write_objects
from kerakit.models import detection

CLASSES = ("ant", "bee", "cat")
SIZE = (64, 96)


@pytest.fixture(
    scope="module",
    params=["yolo_n", pytest.param("maskrcnn_mobilenet_v2_fpn", marks=pytest.mark.slow)],
)
def model(request):
    keras.utils.set_random_seed(3)
    options = {"score_threshold": 0.0} if "rcnn" in request.param else {}
    model = getattr(detection, request.param)(
        input_shape=(*SIZE, 3), num_classes=3, width=0.25, max_detections=20, **options
    )
    # Untrained, all scores are alike: spread, so that rounding cannot change the order.
    for layer in model.layers:
        for weight in layer.trainable_weights:
            if weight.path.endswith("bias"):
                weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
    return model


@pytest.fixture(scope="module")
def task(model):
    return "instance_segmentation" if model.gives_masks else "detection"


@pytest.fixture(scope="module")
def folder(model, task, tmp_path_factory):
    preparation = Preparation(height=SIZE[0], width=SIZE[1], fit="letterbox")
    return export.save(
        model, tmp_path_factory.mktemp("found"), preparation=preparation, classes=CLASSES, task=task
    )


def encoded(*sizes):
    draw = np.random.default_rng(1)
    pixels = [draw.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [tf.io.encode_png(image).numpy() for image in pixels]


SEVENTEEN = [(20 + 7 * n, 150 - 5 * n) for n in range(17)]


@pytest.mark.parametrize(
    "files",
    [encoded((37, 911)), [tf.io.encode_png(np.zeros((50, 40, 3), np.uint8)).numpy()],
     encoded(*SEVENTEEN), encoded((1, 1))],
    ids=["37 x 911", "black", "17 images", "1 x 1"],
)  # fmt: skip
def test_answers_are_those_of_predict_in_the_original_pixels(files, folder, model):
    answers = list(export.Served(folder).answer(files, batch_size=17))
    preparation = Preparation(height=SIZE[0], width=SIZE[1], fit="letterbox")
    prepared = np.stack([preparation(file).numpy() for file in files])
    found = model.predict(prepared, verbose=0)
    for row, (file, answer) in enumerate(zip(files, answers, strict=True)):
        height, width = tf.io.decode_image(file).shape[:2]
        scale = min(SIZE[0] / height, SIZE[1] / width)
        bars = (np.array(SIZE[::-1]) - scale * np.array([width, height])) / 2
        boxes = (found["boxes"][row] - np.tile(bars, 2)) / scale
        boxes = np.clip(boxes, 0, [width, height, width, height])
        number = found["num_detections"][row]
        assert answer["num_detections"] == number > 0
        parts = [boxes * scale, found["scores"][row][:, None], found["classes"][row][:, None]]
        served = [answer["boxes"] * scale, answer["scores"][:, None], answer["class_ids"][:, None]]
        if model.gives_masks:
            parts.append(found["masks"][row].reshape(20, -1))
            served.append(answer["masks"].reshape(20, -1))
        # In a black image many are equally sure, and stand in any order.
        parts, served = (np.concatenate(x, axis=-1)[:number] for x in (parts, served))
        apart = np.abs(parts[:, None] - served[None]).max(axis=-1)
        assert apart.min(axis=0).max() < 1e-3
        assert apart.min(axis=1).max() < 1e-3
        assert np.all(np.diff(answer["scores"][:number]) <= 0)
        names = [CLASSES[number].encode() for number in answer["class_ids"][:number]]
        assert list(answer["class_names"][:number]) == names
        assert set(answer["class_names"][number:]) <= {b""}
        assert not answer["boxes"][number:].any()


def test_verified_in_a_fresh_process(folder, model):
    assert export.verify(folder, model, images=encoded((37, 911))).passed


@pytest.mark.slow
def test_a_verification_sees_another_model(folder, model):
    weights = model.get_weights()
    try:
        model.set_weights([w + 0.01 if w.dtype == np.float32 else w for w in weights])
        with pytest.raises(export.VerificationError, match="does not answer as its model"):
            export.verify(folder, model)
    finally:
        model.set_weights(weights)


def test_the_card_says_what_comes_out(folder, model):
    card = export.Served(folder).card
    outputs = card["signatures"]["serving_default"]["outputs"]
    assert outputs["boxes"]["shape"] == [None, 20, 4]
    assert "pixels" in outputs["boxes"]["unit"]
    assert ("masks" in outputs) == model.gives_masks


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ("ant", "bee")}, "`classes` has 2 names, and the model knows 3"),
        ({"task": None}, "`task` must be "),
        ({"task": "classification"}, "`task` must be detection or instance_segmentation"),
    ],
)
def test_what_does_not_fit(options, said, model, task, tmp_path):
    other = "detection" if model.gives_masks else "instance_segmentation"
    given = {"classes": CLASSES, "task": task} | options
    if given["task"] is None:
        given["task"] = other
    with pytest.raises(ValueError, match=said):
        export.save(
            model, tmp_path, preparation=Preparation(height=SIZE[0], width=SIZE[1]), **given
        )


def answer(scores, boxes, classes, rows=4):
    number = len(scores)
    padding = rows - number
    return {
        "boxes": np.array([[*boxes, *[[0, 0, 0, 0]] * padding]], "float32"),
        "scores": np.array([[*scores, *[0] * padding]], "float32"),
        "class_ids": np.array([[*classes, *[-1] * padding]]),
        "class_names": np.array([[*(f"c{k}" for k in classes), *[""] * padding]]),
        "num_detections": np.array([number]),
    }


A, B, C = [0, 0, 10, 10], [20, 0, 40, 50], [5, 60, 100, 80]


def test_two_as_sure_may_stand_in_another_order():
    one = answer([0.9, 0.5, 0.5], [A, B, C], [0, 1, 1])
    other = answer([0.9, 0.5, 0.5], [A, C, B], [0, 1, 1])
    assert max(detection_differences(one, other, masks=False).values()) == 0


def test_differences_by_hand():
    one = answer([0.9, 0.5], [A, C], [0, 1])
    moved = answer([0.8, 0.5], [[0, 0, 10, 11], C], [0, 1])
    found = detection_differences(one, moved, masks=False)
    assert found["boxes"] == pytest.approx(0.01)  # of the largest coordinate, 100
    assert found["scores"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("other", "least"),
    [
        (answer([0.5], [C], [1]), 0.39),  # the surest is missing
        (answer([0.9, 0.5], [A, C], [1, 1]), 0.39),  # of another class
        (answer([0.9, 0.5], [B, C], [0, 1]), 0.3),  # elsewhere
    ],
)
def test_an_object_that_is_missing_counts(other, least):
    one = answer([0.9, 0.5], [A, C], [0, 1])
    for pair in ((one, other), (other, one)):
        assert max(detection_differences(*pair, masks=False).values()) >= least


def test_rounding_may_drop_the_last_object_of_a_full_answer():
    one = answer([0.9, 0.5], [A, C], [0, 1], rows=2)
    other = answer([0.9, 0.5], [A, B], [0, 1], rows=2)
    assert max(detection_differences(one, other, masks=False).values()) == 0


@pytest.mark.parametrize("other", [answer([0.5], [B], [1]), answer([], [[0] * 4] * 0, [])])
def test_an_object_that_is_alone_cannot_move_or_go(other):
    one = answer([0.5], [C], [1])
    for pair in ((one, other), (other, one)):
        assert max(detection_differences(*pair, masks=False).values()) >= 0.4


def test_a_wrong_name_or_count_never_passes():
    one = answer([0.9, 0.5], [A, C], [0, 1])
    named = {**one, "class_names": np.array([["c0", "c7", "", ""]])}
    assert detection_differences(one, named, masks=False)["class_names"] == np.inf
    counted = {**one, "num_detections": np.array([3])}
    assert detection_differences(one, counted, masks=False)["num_detections"] == np.inf


def test_objects_are_drawn_where_they_are(tmp_path):
    Image.new("RGB", (20, 10), "black").save(tmp_path / "black.png")
    found = {
        "boxes": np.array([[4.0, 2.0, 16.0, 8.0], [0.0, 0.0, 3.0, 3.0]]),
        "scores": np.array([0.9, 0.2]),
        "class_ids": np.array([0, 1]),
        "class_names": np.array([b"ant", b"bee"]),
        "num_detections": np.array(2),
        "masks": np.ones((2, 4, 4)),
    }
    write_objects(tmp_path / "black.png", found, tmp_path / "deep/out.png", threshold=0.5)
    pixels = np.asarray(Image.open(tmp_path / "deep/out.png")).sum(axis=-1)
    factor = pixels.shape[1] // 20
    assert pixels.shape == (10 * factor, 20 * factor)
    inside = pixels[4 * factor : 6 * factor, 8 * factor : 12 * factor]
    assert inside.min() > 0  # tinted
    assert pixels[: factor // 2, : 3 * factor].max() == 0  # that below the threshold is not there
    told, record = objects_told(found, threshold=0.1)
    assert told == ["1 ant, 1 bee"]
    assert record["objects"][0] == {"class": "ant", "score": 0.9, "box": [4.0, 2.0, 16.0, 8.0]}
