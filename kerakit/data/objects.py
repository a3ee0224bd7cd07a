"""The objects of a set's images: one table, from which batches take padded rows."""

import functools

import numpy as np
import tensorflow as tf

from kerakit.data.mask_shapes import cropped, segmentation_mask

# Masks are kept cropped to their boxes, on a grid of this many cells a side.
MASK_SIDE = 112
# Masks of a set up to this many bytes are cropped once and kept; else at each use.
_MASK_LIMIT = 1 << 30


class Objects:
    """Boxes, classes and masks of all images of a source, by the image's number.

    A mask is kept cropped to its box at 112 x 112, so that 30 objects of an image take 376 kB
    whatever its size is, and a change of scale leaves it as it is.

    Args:
        sizes: (S, 2) height and width of each image, in pixels.
        image: (T,) number of the image of each object, in [0, S).
        boxes: (T, 4) xyxy in pixels of the image.
        labels: (T,) classes.
        crowd: (T,) bool, or None: none is.
        area: (T,) in pixels, or None: those of the boxes.
        segmentations: T masks in COCO's form (`segmentation_mask`), or None.
    """

    def __init__(self, sizes, *, image, boxes, labels, crowd=None, area=None, segmentations=None):
        self.sizes = np.asarray(sizes, np.int32).reshape(-1, 2)
        order = np.argsort(np.asarray(image, np.int64), kind="stable")
        self.image = np.asarray(image, np.int64)[order]
        self.boxes = np.asarray(boxes, np.float32).reshape(-1, 4)[order]
        self.labels = np.asarray(labels, np.int32)[order]
        self.crowd = np.zeros(len(order), bool) if crowd is None else np.asarray(crowd, bool)[order]
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        self.area = sides.prod(axis=1) if area is None else np.asarray(area, np.float32)[order]
        self.segmentations = None
        if segmentations is not None:
            self.segmentations = [segmentations[number] for number in order]
        counts = np.bincount(self.image, minlength=len(self.sizes))
        self.starts = np.concatenate([[0], np.cumsum(counts)])

    @property
    def largest_count(self):
        """Most objects in an image."""
        return int(np.diff(self.starts).max(initial=0))

    @property
    def largest_size(self):
        """Height of the highest image and width of the widest."""
        return tuple(int(side) for side in self.sizes.max(axis=0))

    def restricted_to(self, classes):
        """The objects of some classes, of which the n-th becomes class n.

        Args:
            classes: Numbers of the classes.

        Returns:
            `Objects` of the same images.
        """
        renumbered = np.full(max(self.labels.max(initial=-1), *classes) + 1, -1, np.int32)
        renumbered[np.asarray(classes)] = np.arange(len(classes))
        labels = renumbered[self.labels]
        kept = np.flatnonzero(labels >= 0)
        masks = self.segmentations
        return Objects(
            self.sizes,
            image=self.image[kept],
            boxes=self.boxes[kept],
            labels=labels[kept],
            crowd=self.crowd[kept],
            area=self.area[kept],
            segmentations=None if masks is None else [masks[row] for row in kept],
        )

    def of(self, index):
        """Dict of the objects of an image, for a scalar integer tensor: n rows each."""
        rows = tf.range(self._starts[index], self._starts[index + 1])
        return self._rows(rows)

    def padded(self, indices, max_boxes):
        """The same for images (B,): `max_boxes` rows each, those behind the last with label -1.

        Rows there are no more places for are left out.
        """
        first, end = tf.gather(self._starts, indices), tf.gather(self._starts, indices + 1)
        rows = first[:, None] + tf.range(max_boxes, dtype=tf.int64)
        return self._rows(tf.where(rows < end[:, None], rows, len(self.labels)))

    def full_masks(self, indices, *, max_boxes, size):
        """Masks of images (B,) in their own pixels: (B, max_boxes, *size) uint8, 0 elsewhere."""

        def drawn(indices):
            masks = np.zeros((len(indices), max_boxes, *size), np.uint8)
            for own, index in zip(masks, indices, strict=True):
                rows = range(*self.starts[index : index + 2])
                height, width = self.sizes[index]
                for mask, row in zip(own, rows, strict=False):
                    mask[:height, :width] = self._mask(row)
            return masks

        masks = tf.numpy_function(drawn, [indices], tf.uint8)
        return tf.ensure_shape(masks, (indices.shape[0], max_boxes, *size))

    def _mask(self, row):
        return segmentation_mask(self.segmentations[row], tuple(self.sizes[self.image[row]]))

    @functools.cached_property
    def _starts(self):
        return _constant(self.starts)

    @functools.cached_property
    def _columns(self):
        """The table with a row more at its end: padding."""
        columns = {"boxes": self.boxes, "crowd": self.crowd, "area": self.area}
        columns = {
            k: np.concatenate([v, np.zeros_like(v, shape=(1, *v.shape[1:]))])
            for k, v in columns.items()
        }
        columns["labels"] = np.append(self.labels, np.int32(-1))
        if self.segmentations is not None and self._masks_fit_in_memory():
            columns["masks"] = self._crops(np.arange(len(self.labels) + 1))
        return {key: _constant(values) for key, values in columns.items()}

    def _rows(self, rows):
        found = {key: tf.gather(values, rows) for key, values in self._columns.items()}
        if self.segmentations is not None and "masks" not in found:
            masks = tf.numpy_function(self._crops, [rows], tf.uint8)
            found["masks"] = tf.ensure_shape(masks, (*rows.shape, MASK_SIDE, MASK_SIDE))
        return found

    def _crops(self, rows):
        masks = np.zeros((*rows.shape, MASK_SIDE, MASK_SIDE), np.uint8)
        for place in zip(*np.nonzero(rows < len(self.labels)), strict=True):
            row = rows[place]
            masks[place] = cropped(self._mask(row), self.boxes[row], MASK_SIDE)
        return masks

    def _masks_fit_in_memory(self):
        return len(self.labels) * MASK_SIDE**2 <= _MASK_LIMIT


def _constant(values):
    # Outside of any function that is traced just then: the next one needs it too.
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)
