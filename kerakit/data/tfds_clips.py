"""Sets of TensorFlow Datasets with clips: `tfds:NAME` or `tfds:DIR` for video."""

import tensorflow as tf

from kerakit.data.classes import checked_classes
from kerakit.data.clip_source import clips_of
from kerakit.data.source import Data
from kerakit.data.tfds import open_tfds, tfds_parts
from kerakit.errors import InputError
from kerakit.extras import need


def load_tfds_clips(name, *, seed, val_fraction):
    """Reads a set with `video` and `label`; its frames are held encoded in memory if they fit.

    Args:
        name: As of `load_tfds`.
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
    lacking = [feature for feature in ("video", "label") if feature not in info.features]
    if lacking:
        raise InputError(
            f"tfds:{name} has no feature {' and '.join(lacking)}, which video needs; it has "
            f"{', '.join(info.features)}."
        )
    if not isinstance(info.features["label"], tfds.features.ClassLabel):
        raise InputError(f"tfds:{name}: its label is no ClassLabel, so the classes are unknown.")
    parts = tfds_parts(builder, name, seed=seed, val_fraction=val_fraction, encoded=("video",))
    sources = {part: clips_of(_clips(dataset)) for part, (dataset, _) in parts.items()}
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=checked_classes(info.features["label"].names),
        name=f"tfds:{name}",
        task="video",
        licence=info.redistribution_info.license.strip(),
        citation=info.citation.strip(),
    )


def _clips(dataset):
    def clip(index, record):
        return {
            "frames": record["video"],
            "label": tf.cast(record["label"], tf.int32),
            "example_id": tf.cast(index, tf.int32),
        }

    return dataset.enumerate().map(clip, num_parallel_calls=tf.data.AUTOTUNE)
