import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import CutMix, Mixup
from kerakit.data import (
    Preparation,
    TrainingBatches,
    batches,
    class_weights,
    evaluation_batches,
    load,
    soft_labels,
    validation_batches,
)
from kerakit.errors import InputError

SEVERAL = """image,labels,split
a.jpg,cat|dog,train
sub/b.png, dog ,train
c.png,,train
d.png,cow|cat,train
e.png,dog | cat,val
f.png,,val
"""


@pytest.fixture
def table(tmp_path, photo, file_of):
    """Function of the table's text that writes it and all images that it names."""

    def write(text, *, encoding="utf-8"):
        file = tmp_path / "set" / "labels.csv"
        for number, line in enumerate(text.splitlines()[1:]):
            path = file.parent / line.partition(",")[0].strip()
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                kind = {".jpg": "JPEG"}.get(path.suffix, "PNG")
                path.write_bytes(file_of(np.roll(photo, number, axis=1), kind))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode(encoding))
        return file

    return write


def labels_of(source):
    return [example["label"].tolist() for example in source.encoded_dataset().as_numpy_iterator()]


def test_several_labels_an_image(table, pillow):
    file = table(SEVERAL)
    data = load(f"csv:{file}", task="multi_label")
    assert (data.classes, data.task) == (("cat", "cow", "dog"), "multi_label")
    assert labels_of(data.train_source) == [[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert labels_of(data.val_source) == [[1, 0, 1], [0, 0, 0]]
    first = next(iter(data.train))
    assert first["label"].dtype == tf.float32
    expected = pillow((file.parent / "a.jpg").read_bytes())
    np.testing.assert_array_equal(first["image"], expected)


def test_one_label_an_image(table):
    """As spreadsheets write it: a mark in front, spaces, a quoted name, a blank line, Windows."""
    text = 'labels,image\r\ndog,x/1.png\r\n"cat, big", x/2.png\r\n\r\ndog,x/3.png\r\n'
    file = table("image,labels\nx/1.png,\nx/2.png,\nx/3.png,\n")
    file.write_text(text, encoding="utf-8-sig", newline="")
    data = load(f"csv:{file}", seed=19)  # by which x/3.png is held out, and it alone
    assert data.classes == ("cat, big", "dog")
    assert labels_of(data.train_source) == [1, 0]
    (record,) = data.val_source.encoded_dataset().as_numpy_iterator()
    assert record["encoded"] == (file.parent / "x/3.png").read_bytes()
    assert record["label"].dtype == np.int32


def test_the_split_goes_by_the_path_and_groups_stay_together(table):
    names = [f"s{s}_{i}.png" for s in range(8) for i in range(2)]
    rows = [f"{name},{'cat' if number % 2 else 'dog'}\n" for number, name in enumerate(names)]
    file = table("image,labels\n" + "".join(rows))

    def held(**options):
        data = load(f"csv:{file}", val_fraction=0.4, **options)
        by_bytes = {(file.parent / name).read_bytes(): name for name in names}
        records = data.val_source.encoded_dataset().as_numpy_iterator()
        return {by_bytes[record["encoded"]] for record in records}

    before = held()
    file.write_text("image,labels\n" + "".join(rows[2:]))
    assert held() == before - {names[0], names[1]}
    sides = [name[:2] for name in held(group_by=r"s\d")]
    assert len(sides) == 2 * len(set(sides)) > 0


def test_labels_reach_the_batches(table, monkeypatch):
    """From memory and from the files, alone and mixed, in training and validation."""
    data = load(f"csv:{table(SEVERAL)}", task="multi_label")
    preparation = Preparation(height=8, width=8)
    expected = [[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 1, 0]]
    for limit in (batches.MEMORY_LIMIT, 0):
        monkeypatch.setattr(batches, "MEMORY_LIMIT", limit)
        got = TrainingBatches(
            data.train_source, preparation, batch_size=4, seed=0, augment=soft_labels(3)
        )
        _, labels = next(iter(got.starting_at(0)))
        assert labels.dtype == tf.float32
        assert sorted(labels.numpy().tolist()) == sorted(expected)
        _, labels = next(iter(evaluation_batches(data.val_source, preparation, batch_size=2)))
        assert labels.numpy().tolist() == [[1, 0, 1], [0, 0, 0]]
        _, shares = next(iter(validation_batches(data, preparation, batch_size=2)))
        np.testing.assert_array_equal(shares, labels)


@pytest.mark.parametrize("transform", [Mixup(3, alpha=1.0), CutMix(3, alpha=1.0)])
def test_mixed_examples_have_both_ones_labels_in_part(transform):
    labels = tf.constant([[1.0, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 1]])
    images = tf.random.stateless_uniform((4, 8, 8, 3), (0, 1), 0, 256, tf.int32)
    batch = {"image": tf.cast(images, tf.uint8), "label": labels}
    mixed = soft_labels(3)(transform(batch, tf.constant([3, 4])), None)["label"].numpy()
    own, other = labels.numpy(), np.roll(labels.numpy(), 1, axis=0)
    same = own == other
    np.testing.assert_allclose(mixed[same], own[same], atol=1e-6)
    # Where the two differ, the share of the own label is one number for the example.
    share = np.where(own > other, mixed, 1.0 - mixed)
    for row, differs in zip(share, ~same, strict=True):
        assert np.ptp(row[differs]) < 1e-6
    assert 0.01 < share[~same].min() < 0.99


def test_balanced_weights_are_for_one_label(table):
    data = load(f"csv:{table(SEVERAL)}", task="multi_label")
    with pytest.raises(InputError, match="with --multi-label it may have several or none"):
        class_weights(data.train_source, 3)


def message(file, **options):
    with pytest.raises(InputError) as error:
        load(f"csv:{file}", **{"task": "multi_label", **options})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("image,labels", "file,labels", ", line 1: there is no column image; the first line must"),
        ("labels,", "label;", ", line 1: there is no column labels; the first line must be image,"),
        ("split", "labels", ", line 1: the column labels stands twice."),
        ("c.png,,train", "c.png,train", ", line 4: it has not as many cells as the first line."),
        ("c.png,,train", "c.png,,train,x", ", line 4: it has not as many cells as the first"),
        ("c.png,", ",", ", line 4: it names no image."),
        ("c.png,,train", "c.png,,Train", ", line 4: split must be train or val, got 'Train'."),
        ("cat|dog", "cat||dog", ", line 2: a label in 'cat||dog' is empty."),
        ("cat|dog", "cat|cat", ", line 2: a label in 'cat|cat' stands twice."),
        ("c.png", "sub/../a.jpg", ", line 4: the image sub/../a.jpg stands in line 2 already; one"),
        ("dog | cat", "sow", ", line 6: the class sow is held out for validation but no training"),
        ("dog | cat", "", ": no image held out has a label, so nothing can be measured."),
        (",val", ",train", ": there are no images for val."),
        (",train", ",val", ": there are no images for train."),
        ("cat|dog,train\nsub/b.png, dog ", "cat,train\nb.png,", " has one class to learn, cat"),
        ("c.png", '"c.png', " cannot be read as a CSV in UTF-8 (unexpected end of data)."),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(old, new, said, table):
    file = table(SEVERAL)
    text = SEVERAL.replace(old, new)
    if "has one class" in said:
        text = text.replace("cow|cat", "cat").replace("dog | cat", "cat")
        (file.parent / "sub/b.png").rename(file.parent / "b.png")
    file.write_text(text)
    assert message(file).startswith(f"{file}{said}")


def test_what_one_label_an_image_needs(table):
    file = table(SEVERAL)
    told = "has 2 labels, and without --multi-label each image has one."
    assert message(file, task="classification") == f"{file}, line 2: a.jpg {told}"
    file.write_text(SEVERAL.replace("cat|dog", "cat"))
    told = "has no label, and without --multi-label each image has one."
    assert message(file, task="classification") == f"{file}, line 4: c.png {told}"


def test_what_is_no_table(tmp_path):
    assert message(tmp_path) == f"{tmp_path}: this is a folder, not a table; give csv:FILE."
    none = tmp_path / "none.csv"
    assert message(none) == f"{none}: there is no such file; give csv:FILE."
    none.write_bytes(b"")
    assert message(none).endswith("image,labels or image,labels,split, and it is empty.")
    none.write_bytes("image,labels\nä,b\n".encode("latin-1"))
    assert f"{none} cannot be read as a CSV in UTF-8 ('utf-8' codec" in message(none)


def test_groups_and_a_split_exclude_each_other(table):
    file = table(SEVERAL)
    assert message(file, group_by="x").startswith(f"{file} has a column split already: group_by")
    file.write_text("image,labels\na.jpg,cat\nc.png,dog\n")
    assert message(file, group_by="s(.)") == (
        f"{file}, line 2: the group_by 's(.)' is not found in a.jpg."
    )
    assert message(file, val_fraction=1e-9).endswith(
        "there are no images for val; give another `val_fraction` (or `group_by`)."
    )


def test_a_missing_and_a_broken_image_are_told_or_left_out(table):
    file = table(SEVERAL)
    (file.parent / "d.png").unlink()
    (file.parent / "sub/b.png").write_bytes(b"no picture")
    missing = f"{file}, line 5: there is no file {file.parent}/d.png"
    assert message(file) == f"{missing}, or pass --skip-bad to leave such files out."
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        data = load(f"csv:{file}", task="multi_label", skip_bad=True)
    first, second = (str(warning.message) for warning in warned)
    assert first == f"{missing}; left out, as --skip-bad says."
    assert "sub/b.png: not a readable image (it is not a JPEG, PNG, GIF or BMP file)" in second
    assert data.classes == ("cat", "dog")  # the cow went with its image
    assert labels_of(data.train_source) == [[1, 1], [0, 0]]


def test_other_columns_are_told(table):
    file = table("image,labels\na.png,cat\n")
    rows = [f"{name}.png,{'cat' if name < 'e' else 'dog'},7\n" for name in "abcdefgh"]
    table("image,labels,score\n" + "".join(rows))
    with pytest.warns(UserWarning, match=re.escape(f"{file}: not read are the columns score.")):
        assert load(f"csv:{file}").train_source.size < 8
