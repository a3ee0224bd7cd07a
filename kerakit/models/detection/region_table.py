"""Features of all regions of a set with what they are to be learned as, computed once."""

import keras
import numpy as np
from keras import ops

from kerakit.models.detection.region_sampling import share_in_crowd
from kerakit.ops import box_area, encode_boxes, pairwise_iou
from kerakit.ops.box_formats import in_box_precision


def region_targets(regions, targets, *, num_classes, negative=0.3, near=0.6):
    """What R-CNN's SVMs and box regressions learn of each region.

    Positive for an SVM are the objects themselves, which are put behind the regions where they
    shall be learned; negative are regions whose IoU with every object of the class is below
    `negative`. A box is learned from a region whose IoU with its nearest object is above `near`.

    Args:
        regions: (B, R, 4) xyxy in pixels; rows of no area are padding.
        targets: Dict with `boxes` (B, N, 4), `labels` (B, N), perhaps `crowd` (B, N).
        num_classes: K.
        negative: IoU below which a region is negative.
        near: IoU above which a region's box is learned.

    Returns:
        Dict of `svm_targets` (B, R, K) float32 of 1, -1 and 0 (left out), `box_classes` (B, R)
        int32, -1 where no box is learned, and `box_offsets` (B, R, 4).

    Reference:
        Girshick et al., Rich Feature Hierarchies for Accurate Object Detection and Semantic
        Segmentation, 2014, Section 2.3 and Appendix C. Deviations: crowds count for nothing.
    """
    regions, boxes = in_box_precision(regions), in_box_precision(targets["boxes"])
    labels = ops.cast(targets["labels"], "int32")
    is_object = ops.logical_and(labels >= 0, box_area(boxes) > 0)
    is_learned = box_area(regions) > 0
    if "crowd" in targets:
        crowd = ops.logical_and(is_object, ops.cast(targets["crowd"], "bool"))
        is_object = ops.logical_and(is_object, ops.logical_not(crowd))
        outside = share_in_crowd(regions, boxes, crowd) < 0.5
        is_learned = ops.logical_and(is_learned, outside)
    iou = ops.where(is_object[:, None], pairwise_iou(regions, boxes), 0.0)  # (B, R, N)
    of_class = ops.one_hot(labels, num_classes, dtype=iou.dtype)
    best = ops.max(iou[..., None] * of_class[:, None], axis=2)  # (B, R, K)
    is_itself = ops.all(ops.equal(regions[:, :, None], boxes[:, None]), axis=-1)
    is_itself = ops.cast(ops.logical_and(is_itself, is_object[:, None]), iou.dtype)
    is_positive = ops.max(is_itself[..., None] * of_class[:, None], axis=2) > 0
    svm_targets = ops.where(is_positive, 1.0, ops.where(best < negative, -1.0, 0.0))

    nearest = ops.argmax(iou, axis=-1)
    is_near = ops.logical_and(ops.max(iou, axis=-1) > near, is_learned)
    truth = ops.take_along_axis(boxes, nearest[..., None], axis=1)
    return {
        "svm_targets": ops.where(is_learned[..., None], svm_targets, 0.0),
        "box_classes": ops.where(is_near, ops.take_along_axis(labels, nearest, axis=1), -1),
        "box_offsets": encode_boxes(truth, regions),
    }


class _Candidates(keras.Model):
    """Proposals and objects of a batch, with features and targets, in stock `predict_on_batch`."""

    def __init__(self, model):
        super().__init__(autocast=False, name="candidates")
        self.model = model

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs):
        regions = ops.concatenate(
            [in_box_precision(inputs[name]) for name in ("proposals", "boxes")], axis=1
        )
        targets = region_targets(regions, inputs, num_classes=self.model.num_classes)
        return {**targets, "features": self.model.region_features(inputs["images"], regions)}


def region_table(model, batches, *, steps=None, verbose=1):
    """Features and targets of all regions of a set, one row a region.

    Args:
        model: `RCNN`.
        batches: Iterable of ({"images", "proposals"}, targets), as `fit` takes it.
        steps: Batches to take, for the progress bar too; None: all.
        verbose: Whether a progress bar is shown.

    Returns:
        Dict of NumPy arrays: `features` (M, D) float32, `svm_targets` (M, K), `box_classes` (M,),
        `box_offsets` (M, 4), as of `region_targets`. Rows that none of both learns are left out.
    """
    candidates = _Candidates(model)
    candidates.compile()
    bar = keras.utils.Progbar(steps, unit_name="batch", verbose=verbose)
    rows = []
    for number, (inputs, targets) in enumerate(batches):
        if number == steps:
            break
        known = {name: targets[name] for name in ("boxes", "labels", "crowd") if name in targets}
        found = candidates.predict_on_batch({**inputs, **known})
        found = {name: x.reshape(-1, *x.shape[2:]) for name, x in found.items()}
        is_used = found["svm_targets"].any(axis=-1) | (found["box_classes"] >= 0)
        rows.append({name: x[is_used] for name, x in found.items()})
        bar.update(number + 1)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
