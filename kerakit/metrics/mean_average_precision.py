"""Mean average precision of detectors, in stock `fit` and `evaluate`."""

import keras
import numpy as np
from keras import ops

from kerakit.metrics import coco_precision, voc_precision
from kerakit.metrics.detection_columns import column
from kerakit.metrics.detection_rows import found_rows, mask_rows, truth_rows

RULES = {
    "coco": (coco_precision.NAMES, coco_precision.coco_precision),
    "voc": (voc_precision.NAMES, voc_precision.voc_precision),
}


@keras.saving.register_keras_serializable(package="kerakit")
class MeanAveragePrecision(keras.metrics.Metric):
    """Average precision of detected boxes or masks, over classes and IoU thresholds.

    Keras has no such metric. This one gives pycocotools' figures to the last digit, whatever
    the order of the data, at a few hundredths of its time, so that it can run every epoch.

    `style="coco"`: of each class, the mean of the precision at recalls 0, 0.01, ..., 1 and IoU
    thresholds 0.5, 0.55, ..., 0.95, where the precision at a recall is the highest at that or
    any higher one. `result()` has `mAP`, `mAP@50`, `mAP@75`, `mAP/small`, `mAP/medium`,
    `mAP/large` (objects of less than 32^2, of up to 96^2 and of more pixels), the average
    recalls `AR@1`, `AR@10`, `AR@100` (detections an image and class), `AR/small`,
    `AR/medium` and `AR/large`.

    `style="voc"`: at IoU 0.5, `mAP` from the area under each class's curve (2010 and later)
    and `mAP/11-point` from the precision at recalls 0, 0.1, ..., 1 (2007).

    A figure is -1 where there is no object to find. Classes without objects are left out of
    the means. `per_class=True` adds `AP/<class>`.

    How it lives in a step: each image owns a row of fixed-size buffers, which `update_state`
    fills, also under XLA, on JAX and on each replica. Rows of replicas are disjoint, so their
    sum is the whole. The matching runs on the host when `result()` is called on the values; in
    a traced step, where there are none, `result()` is 0 under the same keys. Put it into the
    `compile(metrics=[...])` of a `kerakit.models.detection.Detector`: a plain
    `keras.Model` splits dictionaries of outputs over its metrics and refuses it.

    Memory: `num_examples * (28 max_boxes + 24 max_detections)` bytes, 26 MB for 5,000
    images of 100 and 100; for masks also `num_examples * (max_boxes + max_detections) *
    height * width / 8` bytes (500 images of 50 and 50 at 384 x 384: 922 MB). An update copies
    the buffers where the backend does not write in place, and so does `result()`.

    Args:
        num_classes: K.
        num_examples: E: images have ids 0..E-1.
        iou_type: `"bbox"` compares boxes, `"segm"` masks.
        style: `"coco"` or `"voc"`.
        max_boxes: Most objects in an image; the batches' N may be less.
        max_detections: Most detections in an image; the batches' D may be less.
        mask_size: (height, width) of all masks; needed for `"segm"`. An image smaller than
            that lies at the upper left.
        classes: Names of the classes; their numbers by default.
        per_class: Whether the classes stand in the result too.
        prefix: Put before every key of the result.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; boxes are float32 whatever it is.

    Raises:
        ValueError: If an argument is not as above, or an image has too many rows.
        MissingExtraError: In `result`, if the package of the extra `coco` is missing.

    Reference:
        Lin et al., Microsoft COCO: Common Objects in Context, 2014, and its evaluation code.
        Everingham et al., The PASCAL Visual Object Classes (VOC) Challenge, 2010, Sec. 4.2.
        Deviations: VOC's kit counts the last pixel into a box (x2 - x1 + 1); here boxes are
        edges, so that a box over pixels 3 to 7 is 3 to 8.

    Example:

    >>> import numpy as np
    >>> metric = MeanAveragePrecision(2, 1, style="voc", classes=["cat", "dog"], per_class=True)
    >>> truth = {"boxes": np.array([[[0, 0, 8, 8], [4, 4, 9, 9], [0, 0, 0, 0]]]),
    ...          "labels": np.array([[0, 1, -1]]), "example_id": np.array([0])}
    >>> found = {"boxes": np.array([[[0, 0, 8, 7], [5, 5, 30, 30]]]),
    ...          "scores": np.array([[0.9, 0.8]]), "classes": np.array([[0, 1]])}
    >>> metric.update_state(truth, found)
    >>> {key: round(value, 3) for key, value in metric.result().items()}
    {'mAP': 0.5, 'mAP/11-point': 0.5, 'AP/cat': 1.0, 'AP/dog': 0.0}
    """

    def __init__(
        self,
        num_classes,
        num_examples,
        *,
        iou_type="bbox",
        style="coco",
        max_boxes=100,
        max_detections=100,
        mask_size=None,
        classes=None,
        per_class=False,
        prefix="",
        name="mean_average_precision",
        dtype=None,
    ):
        counts = {"num_classes": num_classes, "num_examples": num_examples}
        counts |= {"max_boxes": max_boxes, "max_detections": max_detections}
        for argument, value in counts.items():
            if value < 1:
                raise ValueError(f"`{argument}` must be at least 1, got {value}.")
        if iou_type not in ("bbox", "segm"):
            raise ValueError(f"`iou_type` must be 'bbox' or 'segm', got {iou_type!r}.")
        if style not in RULES:
            raise ValueError(f"`style` must be 'coco' or 'voc', got {style!r}.")
        if (mask_size is None) != (iou_type == "bbox"):
            raise ValueError(
                "`mask_size` must be (height, width) for iou_type='segm' and None for 'bbox', "
                f"got {mask_size} for {iou_type!r}."
            )
        if classes is not None and (
            len(classes) != num_classes or len(set(classes)) != num_classes
        ):
            raise ValueError(f"`classes` must be {num_classes} different names, got {classes}.")
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.num_examples = num_examples
        self.iou_type = iou_type
        self.style = style
        self.max_boxes = max_boxes
        self.max_detections = max_detections
        self.mask_size = None if mask_size is None else tuple(mask_size)
        self.classes = None if classes is None else tuple(classes)
        self.per_class = per_class
        self.prefix = prefix
        # One row more than there are images: what is left out is written there. The counts
        # have another one, for images with an id that is too high.
        rows = num_examples + 1
        self.updates = self._buffer((rows + 1,), "int32", "updates")
        self.truth = self._buffer((rows, max_boxes, 7), "float32", "truth")
        self.detections = self._buffer((rows, max_detections, 6), "float32", "detections")
        if self.mask_size is not None:
            size = -(-self.mask_size[0] * self.mask_size[1] // 8)
            self.truth_masks = self._buffer((rows, max_boxes, size), "uint8", "truth_masks")
            self.masks = self._buffer((rows, max_detections, size), "uint8", "masks")

    def _buffer(self, shape, dtype, name):
        return self.add_variable(shape, "zeros", dtype=dtype, name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Stores a batch of padded truth and detections.

        Args:
            y_true: Dictionary: `boxes` (B, N, 4) xyxy in pixels of the original image;
                `labels` (B, N) integers, others than 0..K-1 are padding; `example_id` (B,)
                integers, negative ones are padding; where there are any, `crowd` (B, N) bool:
                COCO's crowds, VOC's difficult objects; `area` (B, N) areas as annotated in
                original pixels, which COCO's sizes go by (else, or where negative, that of the
                box or mask); for `"segm"` `masks` (B, N, height, width), 0 outside.
            y_pred: Dictionary: `boxes` (B, D, 4) in the same pixels; `scores` (B, D);
                `classes` (B, D) integers, others than 0..K-1 are padding; where there is one,
                `num_detections` (B,): rows from there on are padding; for `"segm"` `masks`
                (B, D, height, width), bool or integers. A row with a score or box that is not
                finite does not count.
            sample_weight: (B,); images of weight 0 are padding.
        """
        ids = ops.reshape(ops.cast(y_true["example_id"], "int32"), (-1,))
        is_image = ids >= 0
        if sample_weight is not None:
            is_image &= ops.reshape(ops.cast(sample_weight, "float32"), (-1,)) != 0
        # Two places more: E for padding, E + 1 for an id that is too high.
        last = self.num_examples
        place = ops.where(is_image, ops.where(ids < last, ids, last + 1), last)
        counts = ops.segment_sum(ops.ones_like(place), place, num_segments=last + 2)
        self.updates.assign(self.updates + counts)
        row = ops.minimum(place, last)[:, None]
        classes, most = self.num_classes, (self.max_boxes, self.max_detections)
        sides = [
            (self.truth, truth_rows(y_true, num_classes=classes, max_boxes=most[0])),
            (self.detections, found_rows(y_pred, num_classes=classes, max_detections=most[1])),
        ]
        size = self.mask_size
        if size is not None:
            sides += [
                (self.truth_masks, mask_rows(y_true, "y_true", mask_size=size, most=most[0])),
                (self.masks, mask_rows(y_pred, "y_pred", mask_size=size, most=most[1])),
            ]
        for buffer, rows in sides:
            buffer.assign(ops.scatter_update(buffer, row, rows))

    def merge_state(self, metrics):
        """Adds the images of other metrics of the same settings, such as other processes'.

        Args:
            metrics: Other `MeanAveragePrecision` objects, of other images.
        """
        for metric in metrics:
            for variable, other in zip(self.variables, metric.variables, strict=True):
                variable.assign(variable + other)

    def placeholder(self):
        """0 under each key of the result, as tensors."""
        names = [*RULES[self.style][0]]
        if self.per_class:
            names += [f"AP/{name}" for name in self._class_names()]
        return {f"{self.prefix}{name}": ops.zeros((), "float32") for name in names}

    def result(self):
        """Figures by name, Python floats; see the class for the names.

        Raises:
            ValueError: If an image was counted twice, or its id is too high.
        """
        table = self._table()
        if table is None:
            return self.placeholder()
        figures = table.figures()
        if self.per_class:
            names = enumerate(self._class_names())
            figures |= {f"AP/{name}": table.of_class(label) for label, name in names}
        return {f"{self.prefix}{name}": value for name, value in figures.items()}

    def curves(self, *, iou_threshold=0.5):
        """Precision over recall of each class, for a picture.

        After `fit` or `evaluate` the metric holds the images of the last pass over data.

        Args:
            iou_threshold: One of 0.5, 0.55, ..., 0.95; 0.5 for VOC.

        Returns:
            Name of the class -> (recall, precision, scores), float64 arrays: for COCO at 101
            recalls, the precision being the highest at that recall or a higher one, and the
            score the one from which on it is reached; for VOC a point a detection. Classes
            without objects are left out.
        """
        known = coco_precision.IOU_THRESHOLDS if self.style == "coco" else [0.5]
        if not any(abs(iou_threshold - value) < 1e-9 for value in known):
            raise ValueError(
                f"`iou_threshold` must be one of {[round(float(x), 2) for x in known]}, "
                f"got {iou_threshold}."
            )
        table = self._table()
        curves = {
            name: table.curve(label, iou_threshold)
            for label, name in enumerate(self._class_names())
        }
        return {name: curve for name, curve in curves.items() if curve is not None}

    def _table(self):
        """What the library or VOC's rule makes of the state; None in a traced step."""
        try:
            updates = _on_host(self.updates)
        except (NotImplementedError, TypeError):  # what TensorFlow and JAX raise on a tracer
            return None
        if updates[-1]:
            raise ValueError(
                f"`example_id` must be below num_examples={self.num_examples}; "
                f"{updates[-1]} were not."
            )
        twice = (updates[: self.num_examples] > 1).nonzero()[0]
        if twice.size:
            raise ValueError(
                f"Each image must be counted once, but {twice.size} were counted again, such as "
                f"the one with `example_id` {twice[0]}. Padding has a negative id or weight 0."
            )
        # Keras reads all metrics after the steps of training too: nothing to copy then.
        is_empty = not updates.any()

        def rows(variable):
            if is_empty:
                return np.zeros((0, *variable.shape[1:]), variable.dtype)
            return _on_host(variable)[: self.num_examples]

        masks = [self.truth_masks, self.masks] if self.mask_size is not None else []
        truth_masks, found_masks = [rows(variable) for variable in masks] or [None, None]
        return RULES[self.style][1](
            column(rows(self.truth), truth_masks),
            column(rows(self.detections), found_masks),
            num_classes=self.num_classes,
            mask_size=self.mask_size,
        )

    def _class_names(self):
        return self.classes or tuple(str(label) for label in range(self.num_classes))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_examples": self.num_examples,
            "iou_type": self.iou_type,
            "style": self.style,
            "max_boxes": self.max_boxes,
            "max_detections": self.max_detections,
            "mask_size": None if self.mask_size is None else list(self.mask_size),
            "classes": None if self.classes is None else list(self.classes),
            "per_class": self.per_class,
            "prefix": self.prefix,
        }


def _on_host(variable):
    return ops.convert_to_numpy(ops.convert_to_tensor(variable))
