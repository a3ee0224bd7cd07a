import json
import os
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import IndexedClips, StreamedClips, clip_cache, clip_source, decode, load
from kerakit.errors import InputError
from tests.reference.video_files import numbers, write_video


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache's folder, apart from the videos."""
    monkeypatch.setenv("KERAKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


TWO_CLASSES = ("train/up/a.mp4", "train/down/b.avi", "val/up/c.gif", "val/down/d.webm")


@pytest.fixture
def folder(tmp_path):
    """Function of relative names that writes a video to each, of 2, 3, 4, ... frames."""

    def write(*names):
        for number, name in enumerate(names):
            write_video(tmp_path / "set" / name, 2 + number)
        return tmp_path / "set"

    return write


def lengths(source):
    return [len(clip["frames"]) for clip in source.encoded_dataset().as_numpy_iterator()]


def same(one, other):
    for a, b in zip(one, other, strict=True):
        assert set(a) == set(b)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_train_and_val_folders(folder):
    data = load(f"clips:{folder(*TWO_CLASSES)}", task="video")
    assert (data.classes, data.task) == (("down", "up"), "video")
    assert lengths(data.train_source) == [3, 2]
    assert lengths(data.val_source) == [5, 4]
    for source in (data.train_source, data.val_source):
        assert isinstance(source, IndexedClips)
        assert source.counts.tolist() == lengths(source)
    for place, clip in enumerate(data.train.as_numpy_iterator()):
        assert (clip["label"], clip["example_id"]) == (place, place)
        assert clip["label"].dtype == clip["example_id"].dtype == np.int32
        assert clip["video"].shape == (3 - place, 48, 64, 3)
        assert numbers(list(clip["video"])) == list(range(3 - place))


def test_encoded_frames_decode_to_the_clip(folder):
    data = load(f"clips:{folder(*TWO_CLASSES)}", task="video")
    for sent, clip in zip(data.train_source.encoded_dataset(), data.train, strict=True):
        assert bytes(sent["frames"][0].numpy())[:3] == b"\xff\xd8\xff"
        for encoded, frame in zip(sent["frames"], clip["video"], strict=True):
            np.testing.assert_array_equal(decode(encoded), frame)


def test_large_sets_are_streamed_and_are_the_same(folder, monkeypatch):
    root = folder(*TWO_CLASSES, "train/up/e.mp4")
    held = load(f"clips:{root}", task="video")
    monkeypatch.setattr(clip_source, "HELD_LIMIT", 0)
    streamed = load(f"clips:{root}", task="video")
    for one, other in (
        (held.train_source, streamed.train_source),
        (held.val_source, streamed.val_source),
    ):
        assert isinstance(other, StreamedClips)
        assert (one.size, one.counts.tolist()) == (other.size, other.counts.tolist())
        same(one.dataset(), other.dataset())
        same(one.encoded_dataset(), other.encoded_dataset())
        assert one.first(1).size == other.first(1).size == 1
        same(one.first(1).dataset(), other.first(1).dataset())


def test_a_folder_without_parts_is_split_by_names(folder):
    root = folder(*[f"{c}/s{s}_{i}.avi" for c in ("x", "y") for s in range(3) for i in range(2)])
    data = load(f"clips:{root}", task="video", group_by=r"s\d", val_fraction=0.4)
    number = {2 + place: place for place in range(12)}  # the length tells which file it is
    groups = [
        {number[n] % 6 // 2 for n in lengths(s)} for s in (data.train_source, data.val_source)
    ]
    assert groups[0]
    assert groups[1]
    assert not groups[0] & groups[1]
    labels = [[int(clip["label"]) for clip in part] for part in (data.train, data.val)]
    for source, told in zip((data.train_source, data.val_source), labels, strict=True):
        assert told == [number[n] // 6 for n in lengths(source)]


def test_the_second_load_decodes_nothing_and_a_changed_file_again(folder, cache, monkeypatch):
    root = folder(*TWO_CLASSES)
    first = load(f"clips:{root}", task="video")
    assert sorted(file.suffix for file in cache.iterdir()) == [".json", ".tfrecord"]
    decoded, read = [], clip_cache.read_video

    def spy(path, **options):
        decoded.append(path.name)
        return read(path, **options)

    monkeypatch.setattr(clip_cache, "read_video", spy)
    same(first.train, load(f"clips:{root}", task="video").train)
    assert decoded == []
    write_video(root / "train/up/a.mp4", 9)
    assert lengths(load(f"clips:{root}", task="video").train_source) == [3, 9]
    assert len(decoded) == 4
    assert len(list(cache.iterdir())) == 2  # in place of the old ones


@pytest.mark.parametrize("damage", ["cut", "byte", "note", "no note", "counts"])
def test_a_damaged_cache_is_made_anew(damage, folder, cache):
    root = folder(*TWO_CLASSES)
    load(f"clips:{root}", task="video")
    note, records = sorted(cache.iterdir())
    whole = records.read_bytes()
    if damage == "cut":
        records.write_bytes(whole[:-100])
    elif damage == "byte":
        records.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    elif damage == "note":
        note.write_text("[]")
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text(json.dumps({**json.loads(note.read_text()), "counts": [1, 1, 1, 1]}))
    assert lengths(load(f"clips:{root}", task="video").train_source) == [3, 2]
    assert records.read_bytes() == whole


def test_a_stopped_pass_leaves_nothing(folder, cache, monkeypatch):
    root = folder(*TWO_CLASSES)

    def stop(path, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clip_cache, "read_video", stop)
        with pytest.raises(KeyboardInterrupt):
            load(f"clips:{root}", task="video")
    assert list(cache.iterdir()) == []
    assert lengths(load(f"clips:{root}", task="video").train_source) == [3, 2]


def message(root, **options):
    with pytest.raises(InputError) as error:
        load(f"clips:{root}", task="video", **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_bad_video_is_one_sentence_or_left_out(folder):
    root = folder(*TWO_CLASSES, "train/up/x.mp4", "train/up/y.mp4")
    bad = root / "train/up/x.mp4"
    bad.write_bytes(bad.read_bytes()[:-200])  # of its index, at the end
    said = f"{bad} cannot be read as a video (it ends too early). Mend or"
    for _ in range(2):  # the second time from the cache
        assert message(root) == (f"{said} remove it, or pass --skip-bad to leave such files out.")
    with pytest.warns(UserWarning, match=re.escape(said)):
        data = load(f"clips:{root}", task="video", skip_bad=True)
    assert lengths(data.train_source) == [3, 2, 7]
    for other in ("train/up/a.mp4", "train/up/y.mp4"):
        (root / other).write_bytes(b"text")
    assert f"2 more: {bad}, {root}/train/up/y.mp4. Mend or remove them, or pass" in message(root)
    with pytest.warns(UserWarning, match="left out"):
        assert message(root, skip_bad=True) == f"{root}: no video of the class up can be read."


def test_what_is_wrong_with_the_folder(folder, tmp_path):
    assert message(tmp_path / "none") == f"{tmp_path}/none: there is no such folder."
    (tmp_path / "empty").mkdir()
    assert message(tmp_path / "empty") == (
        f"{tmp_path}/empty: no class folders with videos in it; expected "
        f"{tmp_path}/empty/CLASS/VIDEO.mp4."
    )
    root = folder(*TWO_CLASSES)
    (root / "val/up/c.gif").rename(root / "val/c.gif")
    assert message(root).startswith(
        f"{root}/val/up: no videos in this class folder; add some (.avi"
    )
    (root / "val/up").rmdir()
    (root / "train/up/notes.txt").write_text("x")
    with pytest.warns(UserWarning, match="as they are no video files: up/notes.txt"):
        assert load(f"clips:{root}", task="video").val_source.size == 1
    (root / "val").rename(root / "test")
    assert f"or give clips:{root}/train to have that one split" in message(root)


def test_a_cache_that_cannot_be_written(folder, cache):
    root = folder(*TWO_CLASSES)
    cache.write_text("")
    assert message(root) == (
        f"The decoded clips cannot be written to {cache} (File exists): set KERAKIT_CACHE to a "
        "folder with room for them."
    )


def test_where_the_cache_lies(folder, tmp_path, monkeypatch):
    root = folder(*TWO_CLASSES)
    monkeypatch.delenv("KERAKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load(f"clips:{root}", task="video")
    assert len(list((tmp_path / "xdg" / "kerakit").iterdir())) == 2


def test_a_missing_package_is_not_a_bad_video(folder, monkeypatch):
    root = folder(*TWO_CLASSES)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert message(root).endswith("which is not installed: pip install kerakit[video]")


@pytest.mark.parametrize(
    ("source", "task", "said"),
    [
        ("clips:x", "classification", "clips:x has clips: `task` must be video, got"),
        ("moving-digits", "detection", "moving-digits has clips: `task` must be video, got"),
        ("folder:x", "video", "'folder:x' is no source of data for video; there are moving-digits"),
        ("digits", "video", "'digits' is no source of data for video; there are moving-digits"),
        ("clips:", "video", "'clips:' is no source of data for video"),
    ],
)
def test_wrong_combinations(source, task, said):
    with pytest.raises(InputError, match=re.escape(said)):
        load(source, task=task)


def test_a_bare_folder_gets_a_hint(tmp_path):
    with pytest.raises(InputError, match=f"For that folder give clips:{tmp_path}."):
        load(str(tmp_path), task="video")
    with pytest.raises(InputError, match="`group_by` works on .* clips:DIR alone, got it with mov"):
        load("moving-digits", task="video", group_by="x")


def test_real_clips(packs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(f"clips:{packs / 'video-motion-direction-ir'}", task="video")
    assert (data.train_source.size, data.val_source.size) == (413, 102)
    assert data.classes == ("down", "left", "right", "still", "up")
    found = np.bincount([int(c["label"]) for c in data.val_source.encoded_dataset()])
    assert found.tolist() == [16, 24, 24, 24, 14]
    clip = next(iter(data.val))
    assert clip["video"].shape == (16, 96, 96, 3)
    assert 3 < np.std(clip["video"]) < 100  # a picture, not a constant
    assert set(data.train_source.counts) == {16}
    assert os.environ["KERAKIT_CACHE"] not in str(packs)
    assert tf.as_dtype(data.train.element_spec["video"].dtype) == tf.uint8
