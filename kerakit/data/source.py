"""Where examples come from: by index, or one after the other."""

import dataclasses

import tensorflow as tf

from kerakit.data.decode import decode, decode_mask
from kerakit.data.untuned import untuned


class IndexedSource:
    """Examples that can be read in any order.

    Args:
        size: Number of examples.
        example: Function, traced into the graph, of a scalar int64 index in [0, size); gives a
            dict with `image` uint8 (H, W, 3), `example_id` int32, and `label` (an int32, or
            float32 (K,) of 0 and 1) or `mask` uint8 (H, W).
        record: The same with `encoded`, the bytes of the image's file as a scalar string, in
            place of `image`. Without it, the image is encoded as a PNG, which loses nothing.
        objects: `Objects` of the images by `example_id`, or None. With them, examples have no
            `label`.
        masks: `MaskCounts` of a source with masks, or None where they were not counted.
    """

    def __init__(self, size, example, *, record=None, objects=None, masks=None):
        self.size = size
        self.objects = objects
        self.masks = masks
        self.example = example
        self.record = record or self._record_as_png

    def _record_as_png(self, index):
        example = dict(self.example(index))
        return {"encoded": tf.io.encode_png(example.pop("image")), **example}

    def first(self, count):
        """The source of the first `count` examples alone."""
        size = min(count, self.size)
        masks = None if self.masks is None else self.masks.first(size)
        return IndexedSource(
            size, self.example, record=self.record, objects=self.objects, masks=masks
        )

    def encoded(self, index):
        """The bytes of an example's file, a scalar string."""
        return self.record(index)["encoded"]

    def dataset(self):
        """tf.data of the examples, in order."""
        indices = untuned(tf.data.Dataset.range(self.size))
        return indices.map(self.example, num_parallel_calls=tf.data.AUTOTUNE)

    def encoded_dataset(self):
        """tf.data of the records, in order: what an exported model is sent, with the label."""
        indices = untuned(tf.data.Dataset.range(self.size))
        return indices.map(self.record, num_parallel_calls=tf.data.AUTOTUNE)


class StreamSource:
    """Examples that can be read only from first to last.

    Args:
        size: Number of examples.
        dataset: tf.data of dicts with `encoded` (the image's file, a scalar string),
            `example_id` int32, and `label` (an int32, or float32 (K,) of 0 and 1) or
            `encoded_mask` (a grey PNG of class ids); the same order at each pass.
        objects: `Objects` of the images by `example_id`, or None; as of `IndexedSource`.
        masks: `MaskCounts`, or None; as of `IndexedSource`.
    """

    def __init__(self, size, dataset, *, objects=None, masks=None):
        self.size = size
        self.objects = objects
        self.masks = masks
        self._dataset = untuned(dataset)

    def first(self, count):
        """The source of the first `count` examples alone."""
        size = min(count, self.size)
        masks = None if self.masks is None else self.masks.first(size)
        return StreamSource(size, self._dataset.take(size), objects=self.objects, masks=masks)

    def dataset(self):
        """tf.data of the examples, in order, decoded: as `IndexedSource.dataset`."""

        def decoded(example):
            example = dict(example)
            return {"image": decode(example.pop("encoded")), **example}

        return self.encoded_dataset().map(decoded, num_parallel_calls=tf.data.AUTOTUNE)

    def encoded_dataset(self):
        """tf.data of the records, in order: as `IndexedSource.encoded_dataset`."""
        if "encoded_mask" not in self._dataset.element_spec:
            return self._dataset

        def with_mask(example):
            example = dict(example)
            return {**example, "mask": decode_mask(example.pop("encoded_mask"))}

        return self._dataset.map(with_mask, num_parallel_calls=tf.data.AUTOTUNE)

    def stored_dataset(self):
        """tf.data of the records as they were given, masks encoded: to be held in numbers."""
        return self._dataset


def with_objects(source):
    """tf.data of a source's examples, in order, each with its objects if there are any.

    Args:
        source: `IndexedSource` or `StreamSource`.

    Returns:
        tf.data of dicts: the example's keys and those of `Objects.of`.
    """
    objects = source.objects
    if objects is None:
        return source.dataset()
    return source.dataset().map(
        lambda example: {**example, **objects.of(example["example_id"])},
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def file_source(paths, labels=None, *, objects=None, read_mask=None, masks=None):
    """Source of image files.

    Args:
        paths: N paths.
        labels: (N,) int classes, or (N, K) float32 of 0 and 1; None where there are objects or
            masks.
        objects: `Objects` of the images, or None.
        read_mask: None, or a function, traced into the graph, from a scalar int64 index to the
            image's `mask`, uint8 (H, W).
        masks: `MaskCounts`, or None.

    Returns:
        `IndexedSource`.
    """
    names = tf.constant([str(path) for path in paths])
    columns = {} if labels is None else {"label": tf.constant(labels)}

    def record(index):
        return {
            "encoded": tf.io.read_file(names[index]),
            **{key: values[index] for key, values in columns.items()},
            **({} if read_mask is None else {"mask": read_mask(index)}),
            "example_id": tf.cast(index, tf.int32),
        }

    def example(index):
        found = record(index)
        return {"image": decode(found.pop("encoded")), **found}

    return IndexedSource(len(paths), example, record=record, objects=objects, masks=masks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """A set of examples, its training part apart from the part held out.

    Attributes:
        train_source: Source of the training examples.
        val_source: Source of the examples held out.
        classes: Names of the classes; a label is an index into them.
        name: What `load` was given.
        task: What the labels are for: "classification", an int32 each; "multi_label",
            float32 (K,) each, 1 for every class that an image has and 0 for the others;
            "detection", boxes; "instance_segmentation", boxes with masks; "segmentation", a
            mask of class ids, 255 where nothing is to be learnt; or "video", an int32 a clip.
        category_ids: The numbers that the set itself gives the classes, where it does.
        licence: Licence of the set, as far as it is known.
        citation: Whom to cite.
    """

    train_source: IndexedSource | StreamSource
    val_source: IndexedSource | StreamSource
    classes: tuple[str, ...]
    name: str
    task: str = "classification"
    category_ids: tuple[int, ...] = ()
    licence: str = ""
    citation: str = ""

    @property
    def train(self):
        """tf.data of dicts of the training examples, in order."""
        return with_objects(self.train_source)

    @property
    def val(self):
        """tf.data of dicts of the examples held out, in order."""
        return with_objects(self.val_source)
