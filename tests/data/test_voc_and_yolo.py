"""Small sets in VOC's and YOLO's formats, good and with each thing wrong in turn."""

import numpy as np
import pytest
from PIL import Image

from kerakit.data import load
from kerakit.errors import InputError

VOC = """<annotation><filename>{name}.jpg</filename>
<size><width>30</width><height>20</height><depth>3</depth></size>{objects}</annotation>"""
OBJECT = """<object><name>{0}</name><difficult>{5}</difficult><bndbox><xmin>{1}</xmin>
<ymin>{2}</ymin><xmax>{3}</xmax><ymax>{4}</ymax></bndbox></object>"""


@pytest.fixture
def voc(tmp_path):
    """Function that writes a set of four images, after a change of the first's objects."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (tmp_path / "ImageSets/Main/val.txt").write_text("c\nd\n")

    def written(*more, size=(30, 20)):
        for name in "abcd":
            Image.new("RGB", size if name == "a" else (30, 20)).save(
                tmp_path / f"JPEGImages/{name}.jpg"
            )
            objects = [("dog", 3, 4, 10, 12, 0), ("cat", 1, 1, 30, 20, 1)] if name != "b" else []
            objects += more if name == "a" else ()
            text = VOC.format(name=name, objects="".join(OBJECT.format(*o) for o in objects))
            (tmp_path / f"Annotations/{name}.xml").write_text(text)
        return f"voc:{tmp_path}"

    return written


def test_voc(voc, tmp_path):
    data = load(voc(), task="detection")
    assert data.classes == ("cat", "dog")
    first, second = data.train.as_numpy_iterator()
    np.testing.assert_array_equal(first["boxes"], [[2, 3, 10, 12], [0, 0, 30, 20]])
    np.testing.assert_array_equal(first["labels"], [1, 0])
    np.testing.assert_array_equal(first["crowd"], [False, True])
    assert second["boxes"].shape == (0, 4)
    for file in (tmp_path / "ImageSets/Main").iterdir():
        file.unlink()
    parts = load(f"voc:{tmp_path}", task="detection", val_fraction=0.5, seed=0)
    assert parts.train_source.size + parts.val_source.size == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("dog", 3, 4, 40, 12, 0), "a.xml: object 3, dog: its box, x 2 to 40 .* not inside the im"),
        (("", 3, 4, 9, 12, 0), "a.xml: object 3 has no name"),
        (("dog", 3, "x", 9, 12, 0), "a.xml: object 3 has no `bndbox` of four numbers"),
    ],
)
def test_what_is_wrong_in_voc(voc, more, message):
    with pytest.raises(InputError, match=message):
        load(voc(more), task="detection")
    with pytest.warns(UserWarning, match=message):
        data = load(voc(more), task="detection", skip_bad=True)
    assert len(data.train_source.objects.labels) == 2


def test_what_else_is_wrong_in_voc(voc, tmp_path):
    with pytest.raises(InputError, match=r"shown 20 wide and 30 high, and .*a.xml says 30"):
        load(voc(size=(20, 30)), task="detection")
    source = voc()
    with pytest.raises(InputError, match="has boxes alone; give coco:DIR"):
        load(source, task="instance_segmentation")
    (tmp_path / "ImageSets/Main/val.txt").write_text("a\nc")
    with pytest.raises(InputError, match="held out and learnt from, in .*train.txt, are a"):
        load(source, task="detection")
    (tmp_path / "ImageSets/Main/val.txt").write_text("c")
    (tmp_path / "Annotations/a.xml").write_text("<annotation>")
    with pytest.raises(InputError, match=r"a.xml: it cannot be read \("):
        load(source, task="detection")
    (tmp_path / "ImageSets/Main/train.txt").unlink()
    with pytest.raises(InputError, match="beside .*val.txt there is no list .*train.txt"):
        load(source, task="detection")


@pytest.fixture
def yolo(tmp_path):
    """Function that writes a set; `line` stands before the other labels of the first image."""

    def written(line=None, *, yaml="names: [dog, cat]\n", layout="{kind}/{part}"):
        for part in ("train", "val"):
            images = tmp_path / layout.format(kind="images", part=part)
            labels = tmp_path / layout.format(kind="labels", part=part)
            for folder in (images, labels):
                folder.mkdir(parents=True, exist_ok=True)
            for name in "ab":
                Image.new("RGB", (40, 20)).save(images / f"{name}.png")
            lines = [*([line] if line else []), "1 0.5 0.5 0.25 0.5", "0 0.25 0.5 0.5 1.0", ""]
            (labels / "a.txt").write_text("\n".join(lines))
        (tmp_path / "data.yaml").write_text(yaml)
        return f"yolo:{tmp_path}"

    return written


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\nnames: [dog, cat]  # two\nnc: 2\n",
        "names:\n  0: dog\n  1: cat\nnc: 2\n",
        "nc: 2\nnames:\n- dog\n- 'cat'\ntrain: images\n",
        'names: ["dog",\n  "cat"]\n',
        "names: {0: dog, 1: cat}\n",
    ],
)
@pytest.mark.parametrize("layout", ["{kind}/{part}", "{part}/{kind}"])
def test_yolo(yolo, yaml, layout):
    data = load(yolo(yaml=yaml, layout=layout), task="detection")
    assert data.classes == ("dog", "cat")
    first, second = data.train.as_numpy_iterator()
    np.testing.assert_array_equal(first["boxes"], [[15, 5, 25, 15], [0, 0, 20, 20]])
    np.testing.assert_array_equal(first["labels"], [1, 0])
    assert second["boxes"].shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "a.txt, line 1: there is no class 2; they are 0 to 1"),
        (
            "1 0.9 0.5 0.5 0.5",
            "a.txt, line 1: its box, x 26 to 46 .* not inside the image, 40",
        ),
        ("1 0.9 0.5 0.5", "a.txt, line 1: a class and four numbers are needed, and there are 3"),
        ("dog 0.9 0.5 0.5 0.1", "a.txt, line 1: 'dog 0.9 0.5 0.5 0.1' is no line of numbers"),
    ],
)
def test_what_is_wrong_in_yolo(yolo, line, message):
    source = yolo(line)
    with pytest.raises(InputError, match=message):
        load(source, task="detection")
    with pytest.warns(UserWarning, match=message):
        data = load(source, task="detection", skip_bad=True)
    assert len(data.train_source.objects.labels) == 2


def test_what_else_is_wrong_in_yolo(yolo, tmp_path):
    with pytest.raises(InputError, match="data.yaml: `names` has no class 1; numbers must have no"):
        load(yolo(yaml="names:\n  0: dog\n  2: cat\n"), task="detection")
    with pytest.raises(InputError, match="data.yaml: it has no `names`"):
        load(yolo(yaml="nc: 2\n"), task="detection")
    with pytest.raises(InputError, match="no training image has a box of the class cow"):
        load(yolo(yaml="names: [dog, cat, cow]\n"), task="detection")
    source = yolo()
    (tmp_path / "labels/train/x.txt").write_text("")
    with pytest.raises(InputError, match="labels/train: no image belongs to x.txt"):
        load(source, task="detection")
    (tmp_path / "labels/train/x.txt").unlink()
    with pytest.warns(UserWarning, match="1 box without an area is left out"):
        load(yolo("1 0.5 0.5 0 0.1"), task="detection", skip_bad=True)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(InputError, match="there is neither data.yaml nor .*classes.txt"):
        load(source, task="detection")
