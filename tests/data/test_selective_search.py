"""Proposals cover what is drawn, come in one order, and are found once."""

import sys

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("cv2.ximgproc", exc_type=ImportError)

from kerakit.data import IndexedSource, Preparation
from kerakit.data.selective_search import selective_search, source_proposals

module = sys.modules["kerakit.data.selective_search"]  # the package has the function
BOXES = np.array([[6, 8, 30, 40], [40, 4, 90, 24], [50, 34, 80, 60]], "float32")
COLOURS = np.array([[220, 40, 40], [40, 220, 60], [60, 60, 230]])


def scene(rng):
    """Three rectangles of one colour each, with noise."""
    image = rng.normal(40, 4, (64, 96, 3))
    for (x1, y1, x2, y2), colour in zip(BOXES.astype(int), COLOURS, strict=True):
        image[y1:y2, x1:x2] = colour + rng.normal(0, 4, (y2 - y1, x2 - x1, 3))
    return image.clip(0, 255).astype("uint8")


def best_overlap(box, others):
    best = 0.0
    for x1, y1, x2, y2 in others:
        width = max(0.0, min(x2, box[2]) - max(x1, box[0]))
        height = max(0.0, min(y2, box[3]) - max(y1, box[1]))
        union = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1]) - width * height
        best = max(best, width * height / union)
    return best


@pytest.fixture
def source(rng, tmp_path, monkeypatch):
    """Five images of different sizes; the cache is a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoded = tf.constant([tf.io.encode_png(scene(rng)[: 64 - n]).numpy() for n in range(5)])

    def record(index):
        return {"encoded": encoded[index], "example_id": tf.cast(index, tf.int32)}

    def example(index):
        return {
            "image": tf.io.decode_png(encoded[index]),
            "example_id": record(index)["example_id"],
        }

    return IndexedSource(5, example, record=record)


@pytest.mark.parametrize("quality", ["single", "fast", "quality"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_finds_what_is_drawn(rng, quality, scale):
    found = selective_search(scene(rng), num_proposals=400, quality=quality, scale=scale)
    assert found.shape == (400, 4)
    assert found.dtype == np.float32
    regions = found[found.any(axis=1)]
    assert all(best_overlap(box, regions) > 0.8 for box in BOXES)


def test_padding_lies_behind_and_small_regions_are_left_out(rng):
    image = scene(rng)
    everything = selective_search(image, num_proposals=1000, min_side=1)
    large = selective_search(image, num_proposals=1000, min_side=20)
    count = int(large.any(axis=1).sum())
    assert 0 < count < int(everything.any(axis=1).sum())
    assert not large[count:].any()
    sides = everything[:, 2:] - everything[:, :2]
    wanted = everything[(sides >= 20).all(axis=1)]
    assert {tuple(row) for row in large[:count]} == {tuple(row) for row in wanted}
    assert len({tuple(row) for row in wanted}) == len(wanted)


def test_the_order_is_the_same_every_time(rng):
    """OpenCV's own is another in every call."""
    image = scene(rng)
    first = selective_search(image, num_proposals=200)
    np.testing.assert_array_equal(first, selective_search(image, num_proposals=200))
    np.testing.assert_array_equal(first[:10], selective_search(image, num_proposals=10))


def test_an_image_of_one_colour_has_no_proposal_but_itself():
    found = selective_search(np.full((20, 30, 3), 7, np.uint8), num_proposals=3)
    assert found.tolist() == [[0, 0, 30, 20], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_source_is_searched_once(source, monkeypatch):
    first = source_proposals(source, num_proposals=40, verbose=0)
    for number, example in enumerate(source.dataset().as_numpy_iterator()):
        expected = selective_search(example["image"], num_proposals=40)
        np.testing.assert_array_equal(first[number], expected)

    def refuse(*_, **__):
        raise AssertionError("an image was searched again")

    monkeypatch.setattr(module, "selective_search", refuse)
    np.testing.assert_array_equal(first, source_proposals(source, num_proposals=40, verbose=0))
    with pytest.raises(AssertionError, match="searched again"):
        source_proposals(source, num_proposals=41, verbose=0)


def test_a_stopped_search_goes_on_where_it_was(source, monkeypatch):
    expected = source_proposals(source, num_proposals=30, quality="single", verbose=0)
    monkeypatch.setattr(module, "_KEPT_EVERY", 2)
    calls = []

    def stops(image, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return selective_search(image, **options)

    settings = {"num_proposals": 30, "quality": "single", "scale": 1, "verbose": 0}
    monkeypatch.setattr(module, "selective_search", stops)
    with pytest.raises(KeyboardInterrupt):
        source_proposals(source, **settings)
    np.testing.assert_array_equal(source_proposals(source, **settings), expected)
    assert len(calls) == 4 + 3  # two of five images had been kept


def test_a_damaged_cache_is_made_anew(source, tmp_path):
    expected = source_proposals(source, num_proposals=30, verbose=0)
    (cache,) = (tmp_path / "kerakit").glob("proposals-*.npz")
    cache.write_bytes(cache.read_bytes()[:100])
    np.testing.assert_array_equal(source_proposals(source, num_proposals=30, verbose=0), expected)


def test_proposals_in_pixels_of_the_prepared_image(source):
    preparation = Preparation(height=128, width=96, fit="letterbox")
    found = source_proposals(source, num_proposals=400, preparation=preparation, verbose=0)
    regions = found[0][found[0].any(axis=1)]
    moved = BOXES + np.array([0, 32, 0, 32])  # 64 rows in the middle of 128
    assert all(best_overlap(box, regions) > 0.8 for box in moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_proposals": 0}, "`num_proposals` must be a positive integer, got 0."),
        ({"quality": "best"}, "`quality` must be one of single, fast, quality, got 'best'."),
        ({"scale": 0.0}, "`scale` must be positive, got 0.0."),
        ({"min_side": 0.5}, "`min_side` must be at least 1, got 0.5."),
    ],
)
def test_arguments(options, message, source):
    with pytest.raises(ValueError, match=message):
        selective_search(np.zeros((8, 8, 3), np.uint8), **options)
    with pytest.raises(ValueError, match=message):
        source_proposals(source, **options)


def test_the_image_is_uint8():
    with pytest.raises(ValueError, match=r"uint8, got shape \(8, 8, 3\) of float64"):
        selective_search(np.zeros((8, 8, 3)))
