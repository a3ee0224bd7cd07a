"""Where examples come from: by index, or one after the other."""

import dataclasses

import tensorflow as tf

from kerakit.data.decode import decode


class IndexedSource:
    """Examples that can be read in any order.

    Args:
        size: Number of examples.
        example: Function, traced into the graph, of a scalar int64 index in [0, size); gives a
            dict with `image` uint8 (H, W, 3), `label` (an int32, or float32 (K,) of 0 and 1),
            `example_id` int32.
        record: The same with `encoded`, the bytes of the image's file as a scalar string, in
            place of `image`. Without it, the image is encoded as a PNG, which loses nothing.
    """

    def __init__(self, size, example, *, record=None):
        self.size = size
        self.example = example
        self.record = record or self._record_as_png

    def _record_as_png(self, index):
        example = dict(self.example(index))
        return {"encoded": tf.io.encode_png(example.pop("image")), **example}

    def encoded(self, index):
        """The bytes of an example's file, a scalar string."""
        return self.record(index)["encoded"]

    def dataset(self):
        """tf.data of the examples, in order."""
        indices = tf.data.Dataset.range(self.size)
        return indices.map(self.example, num_parallel_calls=tf.data.AUTOTUNE)

    def encoded_dataset(self):
        """tf.data of the records, in order: what an exported model is sent, with the label."""
        indices = tf.data.Dataset.range(self.size)
        return indices.map(self.record, num_parallel_calls=tf.data.AUTOTUNE)


class StreamSource:
    """Examples that can be read only from first to last.

    Args:
        size: Number of examples.
        dataset: tf.data of dicts with `encoded` (the image's file, a scalar string),
            `label` (an int32, or float32 (K,) of 0 and 1), `example_id` int32; the same order
            at each pass.
    """

    def __init__(self, size, dataset):
        self.size = size
        self._dataset = dataset

    def dataset(self):
        """tf.data of the examples, in order, decoded: as `IndexedSource.dataset`."""

        def decoded(example):
            example = dict(example)
            return {"image": decode(example.pop("encoded")), **example}

        return self._dataset.map(decoded, num_parallel_calls=tf.data.AUTOTUNE)

    def encoded_dataset(self):
        """tf.data of the records, in order: as `IndexedSource.encoded_dataset`."""
        return self._dataset


def file_source(paths, labels):
    """Source of image files.

    Args:
        paths: N paths.
        labels: (N,) int classes, or (N, K) float32 of 0 and 1.

    Returns:
        `IndexedSource`.
    """
    names, labels = tf.constant([str(path) for path in paths]), tf.constant(labels)

    def record(index):
        return {
            "encoded": tf.io.read_file(names[index]),
            "label": labels[index],
            "example_id": tf.cast(index, tf.int32),
        }

    def example(index):
        found = record(index)
        return {"image": decode(found.pop("encoded")), **found}

    return IndexedSource(len(paths), example, record=record)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """A set of examples, its training part apart from the part held out.

    Attributes:
        train_source: Source of the training examples.
        val_source: Source of the examples held out.
        classes: Names of the classes; a label is an index into them.
        name: What `load` was given.
        task: What the labels are for: "classification", an int32 each, or "multi_label",
            float32 (K,) each, 1 for every class that an image has and 0 for the others.
        licence: Licence of the set, as far as it is known.
        citation: Whom to cite.
    """

    train_source: IndexedSource | StreamSource
    val_source: IndexedSource | StreamSource
    classes: tuple[str, ...]
    name: str
    task: str = "classification"
    licence: str = ""
    citation: str = ""

    @property
    def train(self):
        """tf.data of dicts of the training examples, in order."""
        return self.train_source.dataset()

    @property
    def val(self):
        """tf.data of dicts of the examples held out, in order."""
        return self.val_source.dataset()
