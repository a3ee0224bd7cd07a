"""Masks of the embedded scenes, and of sets that TFDS has written."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerakit.data import (
    Preparation,
    SegmentationBatches,
    batches,
    load,
    segmentation_evaluation_batches,
)
from kerakit.errors import InputError

SIZES = [(10, 20), (16, 8), (12, 12), (9, 30)]


def mask_of(number, size):
    mask = np.random.default_rng(number).integers(0, 4, size).astype(np.uint8)
    mask[0, 0] = 255
    return mask


@pytest.fixture
def stored(tmp_path):
    """Function that writes the set, perhaps with masks of another size."""

    def store(mask_size=None):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
            }
        )

        def rows():
            for number, size in enumerate(SIZES):
                yield {
                    "image": np.full((*size, 3), 50 * number, np.uint8),
                    "segmentation_mask": mask_of(number, mask_size or size)[..., None],
                }

        spec = {
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "segmentation_mask": tf.TensorSpec((None, None, 1), tf.uint8),
        }
        dataset = tf.data.Dataset.from_generator(rows, output_signature=spec)
        tfds.dataset_builders.store_as_tfds_dataset(
            name="fields",
            version="1.0.0",
            features=features,
            split_datasets={"train": dataset, "test": dataset},
            data_dir=tmp_path,
            disable_shuffling=True,
        )
        return f"tfds:{tmp_path}/fields/1.0.0"

    return store


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_tfds(stored, limit, monkeypatch):
    """Both ways that a stream comes: all in memory, and in blocks of encoded files."""
    monkeypatch.setattr(batches, "MEMORY_LIMIT", limit)
    data = load(stored(), task="segmentation")
    assert data.classes == ("0", "1", "2", "3")
    for number, example in enumerate(data.val.as_numpy_iterator()):
        np.testing.assert_array_equal(example["mask"], mask_of(number, SIZES[number]))
    preparation = Preparation(height=16, width=30, fit="pad")
    training = SegmentationBatches(data.train_source, preparation, batch_size=2, seed=0)
    seen = set()
    for images, masks in training.starting_at(0).take(6).as_numpy_iterator():
        for image, mask in zip(images, masks, strict=True):
            number = int(image[0, 0, 0]) // 50
            seen.add(number)
            height, width = SIZES[number]
            np.testing.assert_array_equal(mask[:height, :width], mask_of(number, SIZES[number]))
            assert (mask[height:] == 255).all()
            assert (mask[:, width:] == 255).all()
    assert seen == {0, 1, 2, 3}
    shown = segmentation_evaluation_batches(data.val_source, preparation, batch_size=3)
    assert [masks.shape for _, masks in shown] == [(3, 16, 30), (1, 16, 30)]
    assert data.train_source.masks.largest_size == (16, 30)
    assert data.train_source.masks.pixels[:, -1].tolist() == [1, 1, 1, 1]


@pytest.mark.usefixtures("no_network")
def test_tfds_masks_of_another_size(stored):
    with pytest.raises(InputError, match="train, example 0: its mask is 5 wide and 6 high"):
        load(stored(mask_size=(6, 5)), task="segmentation")


def test_digit_scenes_agree_with_their_boxes():
    semantic = load("digit-scenes", task="segmentation")
    boxed = load("digit-scenes", task="detection")
    assert semantic.classes == ("background", *boxed.classes)
    pairs = zip(semantic.val.take(20), boxed.val.take(20), strict=True)
    for one, other in pairs:
        mask = one["mask"].numpy()
        np.testing.assert_array_equal(one["image"], other["image"])
        for box, label in zip(other["boxes"].numpy(), other["labels"].numpy(), strict=True):
            left, top, right, bottom = box.astype(int)
            inside = mask[top:bottom, left:right] == label + 1
            assert inside.any(axis=1).all()  # seen in every row that its box has
    counts = semantic.val_source.masks
    masks = np.stack([example["mask"] for example in semantic.val])
    assert counts.pixels[:, :-1].sum() == masks.size
    assert counts.pixels[:, 3].sum() == (masks == 3).sum()
