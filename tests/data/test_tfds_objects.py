"""Sets with boxes that TFDS has written."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerakit.data import DetectionBatches, Preparation, load
from kerakit.errors import InputError

SIZES = [(10, 20), (16, 8), (12, 12)]
# Shares of the images' sides, y before x.
BOXES = [[(0.1, 0.25, 0.5, 0.5), (0, 0, 1, 1)], [], [(0.25, 0, 0.75, 0.5)]]
LABELS = [[2, 0], [], [1]]
PIXELS = [[(5, 1, 10, 5), (0, 0, 20, 10)], np.zeros((0, 4)), [(0, 3, 6, 9)]]


@pytest.fixture
def stored(tmp_path):
    """Function that writes the set, with another first box or other features of an object."""

    def store(first=BOXES[0][0], **more):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "objects": tfds.features.Sequence(
                    {
                        "bbox": tfds.features.BBoxFeature(),
                        "label": tfds.features.ClassLabel(names=["ant", "bee", "fly"]),
                        "is_crowd": np.bool_,
                        **more,
                    }
                ),
            }
        )

        def rows():
            for size, boxes, labels in zip(SIZES, BOXES, LABELS, strict=True):
                boxes = [first, *boxes[1:]] if labels == LABELS[0] else boxes
                yield {
                    "image": np.full((*size, 3), size[0], np.uint8),
                    "objects": {
                        "bbox": np.array(boxes, np.float32).reshape(-1, 4),
                        "label": np.array(labels, np.int64),
                        "is_crowd": np.array(labels) == 2,
                    },
                }

        spec = {
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "objects": {
                "bbox": tf.TensorSpec((None, 4), tf.float32),
                "label": tf.TensorSpec((None,), tf.int64),
                "is_crowd": tf.TensorSpec((None,), tf.bool),
            },
        }
        dataset = tf.data.Dataset.from_generator(rows, output_signature=spec)
        tfds.dataset_builders.store_as_tfds_dataset(
            name="insects",
            version="1.0.0",
            features=features,
            split_datasets={"train": dataset, "validation": dataset},
            data_dir=tmp_path,
            disable_shuffling=True,
        )
        return f"tfds:{tmp_path}/insects/1.0.0"

    return store


@pytest.mark.usefixtures("no_network")
def test_boxes_in_pixels(stored):
    data = load(stored(), task="detection")
    assert data.classes == ("ant", "bee", "fly")
    assert (data.train_source.size, data.val_source.size) == (3, 3)
    for part in (data.train, data.val):
        for number, example in enumerate(part.as_numpy_iterator()):
            assert example["image"].shape == (*SIZES[number], 3)
            np.testing.assert_allclose(example["boxes"], PIXELS[number], atol=1e-5)
            np.testing.assert_array_equal(example["labels"], LABELS[number])
            np.testing.assert_array_equal(example["crowd"], np.array(LABELS[number]) == 2)
            assert example["example_id"] == number
    made = DetectionBatches(
        data.train_source, Preparation(height=20, width=20), batch_size=3, seed=0
    )
    images, y = next(made.starting_at(1).as_numpy_iterator())
    for image, number, boxes in zip(images, y["example_id"], y["boxes"], strict=True):
        assert (image == SIZES[number][0]).all()
        height, width = SIZES[number]
        want = np.array(PIXELS[number]) * 20 / np.array([width, height] * 2)
        np.testing.assert_allclose(boxes[: len(want)], want, atol=1e-4)


def test_what_is_wrong(stored):
    with pytest.warns(UserWarning, match="1 box without an area is left out, the first of exa"):
        load(stored(first=(0.5, 0.5, 0.5, 0.75)), task="detection")
    with pytest.raises(InputError, match="has boxes alone; give coco:DIR"):
        load("tfds:insects", task="instance_segmentation")
