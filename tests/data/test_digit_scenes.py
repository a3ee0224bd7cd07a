import numpy as np
import pytest

from kerakit.data import load
from kerakit.data.mask_shapes import segmentation_mask


@pytest.fixture(scope="module")
def data():
    return load("digit-scenes", task="instance_segmentation")


def test_sizes_classes_and_counts(data):
    assert (data.train_source.size, data.val_source.size) == (1500, 300)
    assert data.classes == tuple("0123456789")
    for source in (data.train_source, data.val_source):
        counts = np.diff(source.objects.starts)
        assert (counts.min(), counts.max()) == (1, 6)
        assert np.bincount(source.objects.labels, minlength=10).min() > 60


def test_boxes_masks_and_class_ids_tell_the_same(data):
    for number, example in enumerate(data.val.take(30).as_numpy_iterator()):
        assert example["image"].shape == (96, 96, 3)
        table, ids = data.val_source.objects, np.zeros((96, 96), int)
        for row in np.flatnonzero(table.image == number):
            mask = segmentation_mask(table.segmentations[row], (96, 96))
            rows, columns = np.nonzero(mask)
            bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_array_equal(table.boxes[row], bounds)
            assert table.area[row] == mask.sum()
            assert not ids[mask].any()  # what is seen is seen of one
            ids[mask] = table.labels[row] + 1
            # A digit stands out from what is around it.
            inside = example["image"][mask].max(axis=-1).mean()
            assert inside > example["image"][example["mask"] == 0].max(axis=-1).mean() + 15
        np.testing.assert_array_equal(example["mask"], ids)


def test_scenes_are_always_the_same_and_parts_differ(data):
    again = load("digit-scenes", task="detection", seed=5)
    first, same = (next(d.train.as_numpy_iterator()) for d in (data, again))
    np.testing.assert_array_equal(first["image"], same["image"])
    np.testing.assert_array_equal(first["boxes"], same["boxes"])
    assert "masks" in first
    assert "masks" not in same
    assert not np.array_equal(first["image"], next(data.val.as_numpy_iterator())["image"])
