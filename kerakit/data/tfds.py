"""Sets of TensorFlow Datasets that are on this disk: `tfds:NAME` or `tfds:DIR`."""

import pathlib
import re

import tensorflow as tf

from kerakit.data.source import Data, StreamSource
from kerakit.data.split import held_out
from kerakit.errors import InputError
from kerakit.extras import need

_HELD_OUT_SPLITS = ("validation", "val", "valid", "test")


def _boxes_in_pixels(boxes, size):
    """Fractions (y0, x0, y1, x1) of an image of `size` (height, width) to xyxy in pixels."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    return tf.gather(boxes, [1, 0, 3, 2], axis=-1) * tf.stack([width, height, width, height])


# TFDS's feature -> kerakit's key, and how a value of an image of `size` is converted.
# Images are asked for undecoded, so that kerakit's own decoding does EXIF and alpha.
FEATURES = {
    "image": ("encoded", lambda value, size: value),
    "label": ("label", lambda value, size: tf.cast(value, tf.int32)),
    "labels": ("label", lambda value, size: tf.cast(value, tf.int32)),
    "objects/bbox": ("boxes", _boxes_in_pixels),
    "objects/label": ("labels", lambda value, size: tf.cast(value, tf.int32)),
    "objects/is_difficult": ("crowd", lambda value, size: tf.cast(value, tf.bool)),
    "objects/is_crowd": ("crowd", lambda value, size: tf.cast(value, tf.bool)),
    "objects/area": ("area", lambda value, size: tf.cast(value, tf.float32)),
    "segmentation_mask": ("encoded_mask", lambda value, size: value),
    "video": ("video", lambda value, size: tf.cast(value, tf.uint8)),
}
_NEEDED = {"classification": ("image", "label"), "multi_label": ("image", "labels")}


def load_tfds(name, *, task, seed, val_fraction):
    """Reads a set that TFDS has written; never goes to the network.

    Its split `train` is learnt from; `validation` (or `val`, `valid`, `test`, the first there
    is) is held out. A set with `train` alone is divided by a hash of the example's number.

    Args:
        name: A name of TFDS's catalogue, with its config if it has some (`coco/2017`), found in
            `$TFDS_DATA_DIR` or `~/tensorflow_datasets`; or the folder of a version of a set,
            the one that holds `dataset_info.json`.
        task: What the examples are for; says which features are needed.
        seed: Salt of the hash.
        val_fraction: Share held out where the set has `train` alone, about.

    Returns:
        `Data`.

    Raises:
        InputError: If the set is not on this disk, or lacks what the task needs.
    """
    tfds = need("tensorflow_datasets", extra="tfds")
    builder = open_tfds(name)
    info = builder.info
    needed = _NEEDED[task]
    if task == "multi_label" and "labels" not in info.features:
        needed = _NEEDED["classification"]  # a set may well call several labels `label`
    lacking = [feature for feature in needed if feature not in info.features]
    if lacking:
        raise InputError(
            f"tfds:{name} has no feature {' and '.join(lacking)}, which {task} needs; it has "
            f"{', '.join(info.features)}."
        )
    label = info.features[needed[1]]
    if isinstance(label, tfds.features.Sequence):
        if task == "classification":
            raise InputError(f"tfds:{name} has several labels an image: give --multi-label.")
        label = label.feature
    if not isinstance(label, tfds.features.ClassLabel):
        raise InputError(f"tfds:{name}: its label is no ClassLabel, so the classes are unknown.")

    def source(dataset, size):
        classes = label.num_classes if task == "multi_label" else None
        return _source(dataset, size, needed, classes)

    parts = tfds_parts(builder, name, seed=seed, val_fraction=val_fraction)
    return Data(
        train_source=source(*parts["train"]),
        val_source=source(*parts["val"]),
        classes=tuple(label.names),
        name=f"tfds:{name}",
        task=task,
        licence=info.redistribution_info.license.strip(),
        citation=info.citation.strip(),
    )


def tfds_parts(builder, name, *, seed, val_fraction, encoded=("image",)):
    """The records of a set to learn from and those held out.

    Args:
        builder: A builder of TFDS.
        name: What it was opened by.
        seed: Salt of the hash.
        val_fraction: Share held out where the set has `train` alone, about.
        encoded: Features that stay as they are in their files.

    Returns:
        Dict from "train" and "val" to tf.data of records and their number.

    Raises:
        InputError: If there is no split `train`, or it is too small to be divided.
    """
    tfds, info = need("tensorflow_datasets", extra="tfds"), builder.info
    if "train" not in info.splits:
        raise InputError(
            f"tfds:{name} has no split train to learn from; it has {', '.join(info.splits)}."
        )

    def read(split):
        return builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders={feature: tfds.decode.SkipDecoding() for feature in encoded},
            read_config=tfds.ReadConfig(try_autocache=False),
        )

    size = info.splits["train"].num_examples
    other = next((split for split in _HELD_OUT_SPLITS if split in info.splits), None)
    if other is not None:
        return {
            "train": (read("train"), size),
            "val": (read(other), info.splits[other].num_examples),
        }
    held = [held_out(str(index), seed=seed, fraction=val_fraction) for index in range(size)]
    if all(held) or not any(held):
        raise InputError(f"tfds:{name}: {size} examples are too few to hold some out of.")
    return {
        "train": (_chosen(read("train"), held, False), size - sum(held)),
        "val": (_chosen(read("train"), held, True), sum(held)),
    }


def open_tfds(name):
    """The builder of a set that is on this disk; never goes to the network.

    Args:
        name: As of `load_tfds`.

    Returns:
        A builder of TFDS.

    Raises:
        InputError: If the set is not on this disk.
    """
    tfds = need("tensorflow_datasets", extra="tfds")
    folder = pathlib.Path(name)
    if (folder / "dataset_info.json").is_file():
        return tfds.builder_from_directory(folder)
    if re.search(":[A-Za-z]", name):  # mnist:3.0.1 is a version, here:mnist another site's
        raise InputError(
            f"tfds:{name}: sets of other sites cannot be read; write it to this disk with TFDS and "
            "give tfds:DIR."
        )
    try:
        builder = tfds.builder(name, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        if folder.is_dir():
            raise InputError(
                f"{folder}: no dataset_info.json in it; give the folder of a set's version, as in "
                "tfds:DIR/mnist/3.0.1."
            ) from error
        raise InputError(
            f"tfds:{name} is neither a set that TensorFlow Datasets knows nor a folder that one "
            "was written to."
        ) from error
    if not builder.info.splits:
        raise InputError(
            f"tfds:{name} is not on this disk ({builder.data_dir}); this command fetches it: "
            f"tfds build {name}"
        )
    return builder


def _chosen(dataset, held, wanted):
    held = tf.constant(held)
    return dataset.enumerate().filter(lambda index, _: held[index] == wanted).map(lambda _, e: e)


def _source(dataset, size, needed, num_classes):
    """With a number of classes, labels are told by 0 and 1 for each."""

    def example(index, record):
        converted = {"example_id": tf.cast(index, tf.int32)}
        for feature in needed:
            key, convert = FEATURES[feature]
            converted[key] = convert(record[feature], None)
        if num_classes is not None:
            found = tf.one_hot(tf.reshape(converted["label"], [-1]), num_classes)
            converted["label"] = tf.minimum(tf.reduce_sum(found, axis=0), 1.0)
        return converted

    dataset = dataset.enumerate().map(example)
    return StreamSource(size, dataset.apply(tf.data.experimental.assert_cardinality(size)))
