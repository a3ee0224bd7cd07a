"""A small set in COCO's format, good and with each thing wrong in turn."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from kerakit.data import load
from kerakit.errors import InputError

# pycocotools' decode, under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZES = {"a.png": (20, 30), "b.jpg": (16, 24), "c.png": (12, 12)}


def annotation(number, image, category, bbox, **more):
    x, y, w, h = bbox
    polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "area": w * h / 2,
        "iscrowd": 0,
        "segmentation": [polygon],
        **more,
    }


def content():
    """Images 7, 3 and 5, the last without a box; categories 9 and 2."""
    return {
        "images": [
            {"id": number, "file_name": name, "height": SIZES[name][0], "width": SIZES[name][1]}
            for number, name in zip((7, 3, 5), SIZES, strict=True)
        ],
        "annotations": [
            annotation(1, 3, 9, [2, 3, 5, 6]),
            annotation(2, 7, 2, [0, 0, 30, 20]),
            annotation(4, 3, 2, [1.5, 2.25, 4, 4], iscrowd=1),
            annotation(5, 7, 9, [1, 1, 4, 4]),
        ],
        "categories": [{"id": 9, "name": "dog"}, {"id": 2, "name": "cat"}],
    }


@pytest.fixture
def write(tmp_path):
    """Function that writes the set, after a change of the training part, and gives its source."""

    def written(change=lambda training: None, *, year="", images="images"):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        for part in ("train", "val"):
            folder = tmp_path / images / (part + year)
            folder.mkdir(parents=True, exist_ok=True)
            for name, (height, width) in SIZES.items():
                Image.new("RGB", (width, height), (height, width, 0)).save(folder / name)
            described = content()
            if part == "train":
                change(described)
            text = described if isinstance(described, str) else json.dumps(described)
            (tmp_path / "annotations" / f"instances_{part}{year}.json").write_text(text)
        return f"coco:{tmp_path}"

    return written


@pytest.mark.parametrize(("year", "images"), [("", "images"), ("2017", "."), ("2014", "images")])
def test_images_boxes_and_classes(write, year, images):
    data = load(write(year=year, images=images), task="detection")
    assert (data.classes, data.category_ids) == (("cat", "dog"), (2, 9))
    for part in (data.train, data.val):
        first, second, third = part.as_numpy_iterator()
        assert first["image"].shape == (20, 30, 3)
        np.testing.assert_array_equal(first["boxes"], [[0, 0, 30, 20], [1, 1, 5, 5]])
        np.testing.assert_array_equal(second["boxes"], [[2, 3, 7, 9], [1.5, 2.25, 5.5, 6.25]])
        assert second["boxes"].dtype == np.float32
        np.testing.assert_array_equal(second["labels"], [1, 0])
        np.testing.assert_array_equal(second["crowd"], [False, True])
        np.testing.assert_array_equal(second["area"], [15, 8])
        assert third["image"].shape == (12, 12, 3)
        assert third["boxes"].shape == (0, 4)
        assert [e["example_id"] for e in (first, second, third)] == [0, 1, 2]
        assert "masks" not in first
    record = next(data.val_source.encoded_dataset().as_numpy_iterator())
    assert record["encoded"].startswith(b"\x89PNG")


def test_masks_are_pycocotools_cropped(write):
    triangle = [2.0, 3.0, 10.0, 3.0, 6.0, 9.0]
    code = coco_masks.merge(coco_masks.frPyObjects([triangle], 16, 24))
    mask = coco_masks.decode(code)
    code["counts"] = code["counts"].decode()

    def change(training):
        training["annotations"][0] = annotation(1, 3, 9, [2, 3, 8, 6], segmentation=[triangle])
        training["annotations"][2] = annotation(4, 3, 2, [2, 3, 8, 6], segmentation=code)

    data = load(write(change), task="instance_segmentation")
    _, second, third = data.train.as_numpy_iterator()
    rows = 3 + np.floor((np.arange(112) + 0.5) * 6 / 112).astype(int)
    columns = 2 + np.floor((np.arange(112) + 0.5) * 8 / 112).astype(int)
    want = mask[rows[:, None], columns]
    assert 0.3 < want.mean() < 0.7
    np.testing.assert_array_equal(second["masks"], [want, want])
    assert third["masks"].shape == (0, 112, 112)
    full = data.train_source.objects.full_masks(np.array([1, 2]), max_boxes=3, size=(20, 30))
    np.testing.assert_array_equal(full[0, :2, :16, :24], [mask, mask])
    assert full.numpy().sum() == 2 * mask.sum()


def _set(place, value, key="annotations"):
    return lambda training: training[key][place[0]].__setitem__(place[1], value)


WRONG = {
    "unknown image": (
        _set((0, "image_id"), 912),
        r"instances_train.json: annotation 1 names image 912, which is not in `images`",
    ),
    "unknown category": (
        _set((0, "category_id"), 3),
        "instances_train.json: annotation 1 names category 3, which is not in `categories`",
    ),
    "annotation twice": (
        _set((2, "id"), 1),
        "instances_train.json: two annotations have the id 1",
    ),
    "image twice": (
        lambda training: training["images"].append(dict(training["images"][0], file_name="x")),
        "instances_train.json: two images have the id 7",
    ),
    "file twice": (
        lambda training: training["images"].append(dict(training["images"][0], id=8)),
        "image 8 has the file of another one, a.png",
    ),
    "box outside": (
        _set((0, "bbox"), [20, 3, 9, 6]),
        "annotation 1 of b.jpg: its box, x 20 to 29 and y 3 to 9, is not inside the image, "
        "24 wide and 16 high",
    ),
    "negative box": (
        _set((0, "bbox"), [5, 5, -2, 3]),
        "annotation 1 of b.jpg: its box has a negative side: x 5 to 3",
    ),
    "three numbers": (_set((0, "bbox"), [5, 5, 2]), "annotation 1 has no `bbox` of four numbers"),
    "missing file": (
        lambda training: training["images"].append(
            dict(training["images"][0], id=8, file_name="x")
        ),
        "there is no file .*train/x",
    ),
    "another size": (
        _set((0, "width"), 31, "images"),
        "a.png is shown 30 wide and 20 high, and .*instances_train.json says 31 wide and 20 high",
    ),
    "empty class": (
        lambda training: training.update(annotations=training["annotations"][1:3]),
        "no training image has a box of the class dog",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_stops_or_is_left_out(write, name):
    change, message = WRONG[name]
    source = write(change)
    with pytest.raises(InputError, match=message):
        load(source, task="detection")
    with pytest.warns(UserWarning, match=message) as warned:
        data = load(source, task="detection", skip_bad=True)
    assert sum("left out, as --skip-bad says" in str(w.message) for w in warned) >= 1
    examples = list(data.train.as_numpy_iterator())
    assert len(examples) == (2 if name == "another size" else 3)
    assert sum(len(example["boxes"]) for example in examples) in (2, 3, 4)


FATAL = {
    "category twice": (
        lambda training: training["categories"].append({"id": 2, "name": "cow"}),
        "instances_train.json: two categories have the id 2",
    ),
    "other categories": (
        _set((0, "name"), "wolf", "categories"),
        r"instances_val.json: category 9 is not what it is in .*instances_train.json",
    ),
    "no list": (lambda training: training.pop("images"), "train.json: it has no list `images`"),
    "no id": (lambda training: training["images"][1].pop("id"), "entry 1 of `images` .* no whole"),
    "no boxes": (lambda training: training["annotations"].clear(), "no image for train has a box"),
    "no name": (
        lambda training: training["images"][0].pop("file_name"),
        "image 7 has no `file_name`",
    ),
    "no size": (
        lambda training: training["images"][0].pop("width"),
        "image 7 has no whole `height` and `width` above 0",
    ),
}


@pytest.mark.parametrize("name", FATAL)
def test_what_nothing_can_be_done_about(write, name):
    change, message = FATAL[name]
    with pytest.raises(InputError, match=message):
        load(write(change), task="detection", skip_bad=True)


def test_masks_are_needed_for_segmentation_alone(write):
    source = write(_set((0, "segmentation"), []))
    assert len(load(source, task="detection").train_source.objects.labels) == 4
    with pytest.raises(InputError, match="annotation 1 of b.jpg: it has no mask"):
        load(source, task="instance_segmentation")


def test_boxes_without_an_area_are_counted_in_one_warning(write):
    def change(training):
        training["annotations"] += [
            annotation(8, 7, 2, [3, 3, 0, 4]),
            annotation(9, 7, 2, [3, 3, 4, 0]),
        ]

    with pytest.warns(UserWarning, match="without an area") as warned:
        data = load(write(change), task="detection")
    (message,) = [str(w.message) for w in warned if "without an area" in str(w.message)]
    assert "2 boxes without an area are left out, the first annotation 8" in message
    assert len(data.train_source.objects.labels) == 4


def test_a_box_that_is_rounded_outside_is_cut_off(write):
    data = load(write(_set((1, "bbox"), [-0.4, 0, 30.9, 20.5])), task="detection")
    np.testing.assert_array_equal(data.train_source.objects.boxes[0], [0, 0, 30, 20])


def test_broken_files(write, tmp_path):
    source = write()
    (tmp_path / "images/train/a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="a.png: not a readable image"):
        load(source, task="detection")
    (tmp_path / "annotations/instances_val.json").write_text("{")
    with pytest.raises(InputError, match="instances_val.json cannot be read as JSON"):
        load(source, task="detection")
    (tmp_path / "annotations/instances_val.json").unlink()
    with pytest.raises(InputError, match="there is no file .*annotations/instances_val.json"):
        load(source, task="detection")
    with pytest.raises(InputError, match="there is no such folder"):
        load(f"coco:{tmp_path}/none", task="detection")


def test_the_task_must_fit(write):
    with pytest.raises(InputError, match="has boxes: `task` must be detection"):
        load(write())
    with pytest.raises(InputError, match="is no source of data for detection"):
        load("digits", task="detection")
