import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import check, load
from kerakit.errors import InputError


@pytest.fixture
def folder(tmp_path, photo, file_of):
    """Function of relative names that writes an image to each; gives the folder."""

    def write(*names):
        for number, name in enumerate(names):
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:])
            path.write_bytes(file_of(np.roll(photo, number, axis=1), kind.upper()))
        return tmp_path / "set"

    return write


TWO_CLASSES = ("train/cat/a.jpg", "train/dog/b.png", "val/cat/c.jpg", "val/dog/d.gif")


def names_of(source, root):
    """Names of a source's files, told by their bytes."""
    by_bytes = {
        path.read_bytes(): str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
    }
    return [by_bytes[e["encoded"]] for e in source.encoded_dataset().as_numpy_iterator()]


def test_train_and_val_folders(folder):
    root = folder(*TWO_CLASSES, "train/cat/B.JPEG", "train/cat/.hidden.png", "train/dog/e.bmp")
    (root / "README.txt").write_text("beside the classes: nobody minds")
    data = load(f"folder:{root}")
    assert data.classes == ("cat", "dog")
    assert names_of(data.train_source, root) == [
        "train/cat/B.JPEG",
        "train/cat/a.jpg",
        "train/dog/b.png",
        "train/dog/e.bmp",
    ]
    assert [int(example["label"]) for example in data.train] == [0, 0, 1, 1]
    assert [int(example["example_id"]) for example in data.train] == [0, 1, 2, 3]
    assert names_of(data.val_source, root) == ["val/cat/c.jpg", "val/dog/d.gif"]


def test_pixels_are_those_of_the_file(folder, pillow):
    root = folder(*TWO_CLASSES)
    for example, name in zip(load(f"folder:{root}").train, TWO_CLASSES[:2], strict=True):
        np.testing.assert_array_equal(example["image"], pillow((root / name).read_bytes()))


def test_the_split_is_stable_when_files_come_and_go(folder):
    names = [f"{c}/{i}.png" for c in ("x", "y") for i in range(20)]
    root = folder(*names)
    before = load(f"folder:{root}", val_fraction=0.3)
    held_out = set(names_of(before.val_source, root))
    assert held_out | set(names_of(before.train_source, root)) == set(names)
    assert 5 <= len(held_out) <= 19  # 12 expected; 99 % of the binomial
    for name in names[::4]:
        (root / name).unlink()
    after = load(f"folder:{root}", val_fraction=0.3)
    assert set(names_of(after.val_source, root)) == held_out - set(names[::4])
    salted = load(f"folder:{root}", val_fraction=0.3, seed=1)
    assert set(names_of(salted.val_source, root)) != held_out - set(names[::4])


@pytest.mark.parametrize("group_by", [r"s\d+", r"/(s\d+)_"])
def test_a_group_stays_on_one_side(group_by, folder):
    root = folder(*[f"{c}/s{s}_{i}.png" for c in ("x", "y") for s in range(8) for i in range(2)])
    data = load(f"folder:{root}", group_by=group_by, val_fraction=0.4)
    train, val = (
        {re.search(r"s\d+", name)[0] for name in names_of(source, root)}
        for source in (data.train_source, data.val_source)
    )
    assert train
    assert val
    assert not train & val


def message(root, **options):
    with pytest.raises(InputError) as error:
        load(f"folder:{root}", **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is empty, 0 bytes"),
        (b"a text that someone renamed", "it is not a JPEG, PNG, GIF or BMP file"),
        (None, "its JPEG data are broken, cut short or of a rare kind"),
    ],
)
def test_a_bad_file_is_one_sentence_or_left_out(content, fault, folder):
    root = folder(*TWO_CLASSES, "train/cat/x.jpg")
    bad = root / "train/cat/x.jpg"
    bad.write_bytes(bad.read_bytes()[:-200] if content is None else content)
    said = f"{bad}: not a readable image ({fault}). Mend or remove it"
    for _ in range(2):  # the second time from the cache
        assert message(root) == f"{said}, or pass --skip-bad to leave such files out."
    with pytest.warns(UserWarning, match=re.escape(f"{said}; left out, as --skip-bad says.")):
        data = load(f"folder:{root}", skip_bad=True)
    assert names_of(data.train_source, root) == list(TWO_CLASSES[:2])


def test_many_bad_files_are_counted_and_the_first_named(folder):
    root = folder(*TWO_CLASSES, *[f"train/dog/{i}.jpg" for i in range(8)])
    for i in range(8):
        (root / f"train/dog/{i}.jpg").write_bytes(b"")
    said = message(root)
    assert said.startswith(
        f"{root}/train/dog/0.jpg: not a readable image (it is empty, 0 bytes). 7"
    )
    assert f"{root}/train/dog/5.jpg and 2 more. Mend or remove them, or pass --skip-bad" in said


def test_a_class_of_which_nothing_is_left(folder):
    root = folder(*TWO_CLASSES)
    (root / "train/dog/b.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out"):
        assert message(root, skip_bad=True) == f"{root}: no image of the class dog can be read."


def test_other_files_are_ignored_with_one_warning(folder):
    root = folder(*TWO_CLASSES)
    (root / "train/cat/notes.txt").write_text("x")
    (root / "train/cat/more").mkdir()
    expected = f"2 in {root}/train not read, as they are no image files: cat/more, cat/notes.txt."
    with pytest.warns(UserWarning, match=re.escape(expected)) as caught:
        load(f"folder:{root}")
    assert len(caught) == 1


def test_what_is_wrong_with_the_folder(folder, tmp_path):
    assert message(tmp_path / "none") == f"{tmp_path}/none: there is no such folder."
    (tmp_path / "file").write_text("")
    assert message(tmp_path / "file") == f"{tmp_path}/file: this is a file, not a folder."
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no class folders with images in it; expected" in message(empty)
    root = folder(*TWO_CLASSES)
    (root / "val/dog/d.gif").rename(root / "val/d.gif")
    assert message(root).startswith(f"{root}/val/dog: no images in this class folder; add some")
    with pytest.warns(UserWarning, match="no images in this class folder.*left out"):
        assert load(f"folder:{root}", skip_bad=True).val_source.size == 1
    (root / "val/dog").rename(root / "val/cow")
    (root / "val/d.gif").rename(root / "val/cow/d.gif")
    assert "the class cow is held out for validation but has no training images" in message(root)
    assert "`group_by` has" in message(root, group_by="x").replace("group_by", "`group_by`")
    (root / "val").rename(root / "test")
    assert f"{root} has a folder train but none called val" in message(root)


def test_what_is_wrong_with_a_split(folder):
    root = folder("x/1.png", "x/2.png")
    assert "the split leaves no images for" in message(root, val_fraction=1e-9)
    assert "`group_by` must be a regular expression, got '('" in message(root, group_by="(")
    assert "x/1.png: the group_by 's(.)' is not found in x/1.png." in message(root, group_by="s(.)")
    assert message(root, val_fraction=1.5) == "`val_fraction` must be between 0 and 1, got 1.5."
    assert f"{root}/train has one class" in message(
        folder("train/x/1.png", "val/x/2.png"), val_fraction=0.5
    ).replace(str(root), f"{root}/train")


def test_the_second_look_decodes_nothing_and_a_changed_file_again(folder, monkeypatch):
    root = folder(*TWO_CLASSES)
    load(f"folder:{root}")
    decoded = []

    def spy(paths):
        decoded.extend(path.name for path in paths)
        return []

    monkeypatch.setattr(check, "_not_decodable", spy)
    load(f"folder:{root}")
    assert decoded == []
    changed = root / "train/cat/a.jpg"
    os.utime(changed, (1, 1))
    load(f"folder:{root}")
    assert decoded == ["a.jpg"]


@pytest.mark.parametrize("damage", ["not json", "{}", '{"version": 1, "files": []}', "[]"])
def test_a_damaged_cache_is_made_anew(damage, folder):
    root = folder(*TWO_CLASSES)
    load(f"folder:{root}")
    (cache,) = (pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "kerakit").iterdir()
    good = json.loads(cache.read_text())
    cache.write_text(damage)
    load(f"folder:{root}")
    assert json.loads(cache.read_text()) == good


def test_a_cache_that_cannot_be_written_is_done_without(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(f"folder:{folder(*TWO_CLASSES)}").train_source.size == 2


def test_large_sets_are_checked_by_their_first_bytes(folder, monkeypatch):
    root = folder(*TWO_CLASSES)
    monkeypatch.setattr(check, "DECODE_LIMIT", 0)
    cut = root / "train/cat/a.jpg"
    cut.write_bytes(cut.read_bytes()[:-100])
    assert load(f"folder:{root}").train_source.size == 2
    cut.write_bytes(b"text")
    assert "it is not a JPEG, PNG, GIF or BMP file" in message(root)


def test_real_photographs(packs):
    data = load(f"folder:{packs / 'classification-sign-digits'}")
    assert (data.train_source.size, data.val_source.size) == (1625, 437)
    assert data.classes == tuple("0123456789")
    example = next(iter(data.val))
    assert example["image"].shape == (100, 100, 3)
    assert example["image"].dtype == tf.uint8
    assert 20 < np.std(example["image"]) < 100  # a picture, not a constant
