"""Sets of TensorFlow Datasets with boxes: `tfds:NAME` or `tfds:DIR` for detection."""

import numpy as np
import tensorflow as tf

from kerakit.data.image_size import encoded_size
from kerakit.data.object_checks import box_fault, clipped_boxes, warn_of_empty_boxes
from kerakit.data.objects import Objects
from kerakit.data.source import Data, StreamSource
from kerakit.data.tfds import FEATURES, open_tfds, tfds_parts
from kerakit.errors import InputError


def load_tfds_objects(name, *, task, seed, val_fraction):
    """Reads a set with `image` and `objects` (`bbox`, `label`), and checks its boxes.

    Its boxes are read once, to know how many an image has at most; its images are not decoded
    for it. VOC's `is_difficult` counts as a crowd.

    Args:
        name: As of `load_tfds`.
        task: "detection".
        seed: Salt of the hash.
        val_fraction: Share held out where the set has `train` alone, about.

    Returns:
        `Data`.

    Raises:
        InputError: If the set is not on this disk, lacks what the task needs, or has a box
            outside its image.
    """
    builder = open_tfds(name)
    features = builder.info.features
    objects = features["objects"].feature if "objects" in features else {}
    lacking = [f"objects/{key}" for key in ("bbox", "label") if key not in objects]
    if "image" not in features or lacking:
        raise InputError(
            f"tfds:{name} has no feature {' and '.join(lacking or ['image'])}, which {task} "
            f"needs; it has {', '.join(features)}."
        )
    label = objects["label"]
    if not getattr(label, "names", None):
        raise InputError(
            f"tfds:{name}: objects/label is no ClassLabel, so the classes are unknown."
        )
    crowd = next((key for key in ("is_crowd", "is_difficult") if key in objects), None)
    columns = {"boxes": "bbox", "labels": "label", "crowd": crowd, "area": "area"}
    columns = {key: column for key, column in columns.items() if column in objects}
    parts = tfds_parts(builder, name, seed=seed, val_fraction=val_fraction)
    sources = {
        part: _source(dataset, size, columns, where=f"tfds:{name}, {part}")
        for part, (dataset, size) in parts.items()
    }
    for part, source in sources.items():
        if not len(source.objects.labels):
            raise InputError(f"tfds:{name}: no image for {part} has a box.")
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=tuple(label.names),
        name=f"tfds:{name}",
        task=task,
        licence=builder.info.redistribution_info.license.strip(),
        citation=builder.info.citation.strip(),
    )


def _source(dataset, size, columns, *, where):
    def annotated(record):
        shown = encoded_size(record["image"])
        rows = {
            key: FEATURES[f"objects/{column}"][1](record["objects"][column], shown)
            for key, column in columns.items()
        }
        return {"size": shown, **rows}

    found = list(dataset.map(annotated, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    sizes = np.array([one["size"] for one in found])
    owner = np.repeat(np.arange(len(found)), [len(one["labels"]) for one in found])
    rows = {
        key: np.concatenate([one[key] for one in found]) if len(found) else np.zeros(0)
        for key in columns
    }
    for place, box in zip(owner, rows["boxes"], strict=True):
        if fault := box_fault(box.tolist(), sizes[place]):
            raise InputError(f"{where}, example {place}: {fault}.")
    rows["boxes"], has_area = clipped_boxes(rows["boxes"], sizes[owner])
    empty = owner[~has_area]
    warn_of_empty_boxes(
        len(empty), where=where, first=f"of example {empty[0]}" if len(empty) else ""
    )
    # A label of -1, as TFDS writes where it is not known, is no object either.
    kept = has_area & (rows["labels"] >= 0)
    table = Objects(sizes, image=owner[kept], **{key: v[kept] for key, v in rows.items()})

    def record(index, found):
        return {"encoded": found["image"], "example_id": tf.cast(index, tf.int32)}

    records = dataset.enumerate().map(record)
    records = records.apply(tf.data.experimental.assert_cardinality(size))
    return StreamSource(size, records, objects=table)
