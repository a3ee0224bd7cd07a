"""Sets of TensorFlow Datasets with masks: `tfds:NAME` or `tfds:DIR` for segmentation."""

import numpy as np
import tensorflow as tf

from kerakit.data.classes import checked_classes
from kerakit.data.decode import decode_mask
from kerakit.data.image_size import encoded_size
from kerakit.data.mask_counts import MaskCounts
from kerakit.data.prepare import IGNORE
from kerakit.data.source import Data, StreamSource
from kerakit.data.tfds import FEATURES, open_tfds, tfds_parts
from kerakit.errors import InputError

_FEATURES = ("image", "segmentation_mask")


def load_tfds_masks(name, *, seed, val_fraction):
    """Reads a set with `image` and `segmentation_mask`, whose masks are read once and checked.

    Classes have the names of a `LabeledImage`; of another feature they are called by their
    numbers, up to the largest that is there. 255 does not count.

    Args:
        name: As of `load_tfds`.
        seed: Salt of the hash.
        val_fraction: Share held out where the set has `train` alone, about.

    Returns:
        `Data`.

    Raises:
        InputError: If the set is not on this disk, lacks what the task needs, or a mask is of
            another size than its image or all masks show one class alone.
    """
    builder = open_tfds(name)
    lacking = [feature for feature in _FEATURES if feature not in builder.info.features]
    if lacking:
        raise InputError(
            f"tfds:{name} has no feature {' and '.join(lacking)}, which segmentation needs; it "
            f"has {', '.join(builder.info.features)}."
        )
    feature = builder.info.features["segmentation_mask"]
    if feature.shape[-1] != 1 or feature.np_dtype != np.uint8:
        raise InputError(
            f"tfds:{name}: segmentation_mask must be one class id of 8 bits a pixel, and is "
            f"{feature.shape[-1]} of {np.dtype(feature.np_dtype).name}."
        )
    parts = tfds_parts(builder, name, seed=seed, val_fraction=val_fraction, encoded=_FEATURES)
    counted = {
        part: _counted(dataset, where=f"tfds:{name}, {part}")
        for part, (dataset, _) in parts.items()
    }
    seen = sum(pixels.sum(axis=0) for _, pixels in counted.values())
    ids = np.flatnonzero(seen[:IGNORE])
    if not len(ids) or ids[-1] == 0:
        raise InputError(f"tfds:{name}: its masks have fewer than two classes.")
    names = getattr(feature, "names", None) or [str(number) for number in range(ids[-1] + 1)]
    num_classes = len(names)
    if ids[-1] >= num_classes:
        raise InputError(
            f"tfds:{name}: its masks have the class id {ids[-1]}, and {num_classes} names."
        )
    sources = {}
    for part, (dataset, size) in parts.items():
        sizes, pixels = counted[part]
        counts = MaskCounts(sizes, pixels[:, [*range(num_classes), IGNORE]])
        sources[part] = _source(dataset, size, counts)
    info = builder.info
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=checked_classes(names),
        name=f"tfds:{name}",
        task="segmentation",
        licence=info.redistribution_info.license.strip(),
        citation=info.citation.strip(),
    )


def _counted(dataset, *, where):
    """Sizes (N, 2) of the masks, and pixels (N, 256) of each id."""

    def counts(record):
        mask = decode_mask(record["segmentation_mask"])
        pixels = tf.math.bincount(
            tf.cast(tf.reshape(mask, [-1]), tf.int32), minlength=256, maxlength=256
        )
        return tf.shape(mask, tf.int64), encoded_size(record["image"]), pixels

    sizes, pixels = [], []
    found = dataset.map(counts, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator()
    for number, (size, shown, of_ids) in enumerate(found):
        if size.tolist() != shown.tolist():
            raise InputError(
                f"{where}, example {number}: its mask is {size[1]} wide and {size[0]} high, and "
                f"its image {shown[1]} and {shown[0]}."
            )
        sizes.append(size)
        pixels.append(of_ids)
    return np.array(sizes), np.array(pixels, np.int64)


def _source(dataset, size, counts):
    def record(index, found):
        converted = {"example_id": tf.cast(index, tf.int32)}
        for feature in _FEATURES:
            key, convert = FEATURES[feature]
            converted[key] = convert(found[feature], None)
        return converted

    records = dataset.enumerate().map(record)
    records = records.apply(tf.data.experimental.assert_cardinality(size))
    return StreamSource(size, records, masks=counts)
