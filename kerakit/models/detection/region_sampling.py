"""What the regions of an image are trained as: which truth each stands for, and which to take."""

from keras import ops

from kerakit.ops import box_area, match_boxes, pairwise_iou, sample_matches
from kerakit.ops.box_formats import in_box_precision
from kerakit.ops.box_iou import shared_area

_NEITHER = -2


def sample_regions(proposals, targets, keys, *, size, positive_fraction, foreground, background):
    """A balanced random choice of an image's regions, each with its class and its box.

    Proposals and the objects' own boxes are the candidates. One whose IoU with its nearest
    object is at least `foreground` is of that object's class; one whose IoU is in
    [`background`, `foreground`) is background, unless half of it lies in a crowd.

    Args:
        proposals: (B, R, 4) xyxy in pixels; rows of no area are padding.
        targets: Dict with `boxes` (B, N, 4), `labels` (B, N) int, -1 for padding, and perhaps
            `crowd` (B, N) bool.
        keys: (B,) int of `kerakit.ops.random_keys`.
        size: S, regions of an image.
        positive_fraction: Largest share of regions with an object.
        foreground: Least IoU of a region with an object.
        background: Least IoU of a background region.

    Returns:
        Dict of `regions` (B, S, 4), `labels` (B, S) int32, 0 for background and else the class
        plus 1, `boxes` (B, S, 4) of the objects, `truths` (B, S) int32 their rows or -1,
        `is_positive` (matched ones are first) and `is_chosen` (B, S) bool. What
        is not chosen is a row that is there for the size alone.

    Reference:
        Girshick, Fast R-CNN, 2015, Section 2.3. Deviations: crowds, which VOC does not have.
    """
    boxes, labels = in_box_precision(targets["boxes"]), ops.cast(targets["labels"], "int32")
    is_object = ops.logical_and(labels >= 0, box_area(boxes) > 0)
    crowd = ops.zeros_like(is_object)
    if "crowd" in targets:
        crowd = ops.logical_and(is_object, ops.cast(targets["crowd"], "bool"))
        is_object = ops.logical_and(is_object, ops.logical_not(crowd))
    own = ops.where(is_object[..., None], boxes, 0.0)
    candidates = ops.concatenate([in_box_precision(proposals), own], axis=1)

    iou = pairwise_iou(boxes, candidates)
    matches = match_boxes(iou, is_object, high=foreground, low=foreground)
    nearest = ops.max(ops.where(is_object[..., None], iou, 0.0), axis=1)
    is_left_out = ops.logical_or(
        nearest < background, share_in_crowd(candidates, boxes, crowd) >= 0.5
    )
    is_left_out = ops.logical_and(is_left_out, matches < 0)
    is_left_out = ops.logical_or(is_left_out, box_area(candidates) <= 0)
    matches = ops.where(is_left_out, _NEITHER, matches)

    indices, is_positive, is_chosen = sample_matches(
        matches, keys, size=size, positive_fraction=positive_fraction
    )
    truth = ops.maximum(ops.take_along_axis(matches, indices, axis=1), 0)
    labels = ops.take_along_axis(labels, truth, axis=1) + 1
    return {
        "regions": ops.take_along_axis(candidates, indices[..., None], axis=1),
        "labels": ops.where(is_positive, labels, 0),
        "boxes": ops.take_along_axis(boxes, truth[..., None], axis=1),
        "truths": ops.where(is_positive, truth, -1),
        "is_positive": is_positive,
        "is_chosen": is_chosen,
    }


def mean_over_chosen(losses, sampled, sample_weight=None):
    """The mean of an image's regions, and then of the images.

    Each image counts alike, so that the mean over replicas is that of the whole batch.

    Args:
        losses: (B, S) loss of each region.
        sampled: What `sample_regions` gave.
        sample_weight: (B,) weight of each image, or None.

    Returns:
        A scalar, 0 where no region was chosen.
    """
    is_chosen = ops.cast(sampled["is_chosen"], losses.dtype)
    count = ops.maximum(ops.sum(is_chosen, axis=-1), 1.0)
    of_image = ops.sum(ops.where(sampled["is_chosen"], losses, 0.0), axis=-1) / count
    if sample_weight is not None:
        of_image = of_image * ops.reshape(ops.cast(sample_weight, losses.dtype), (-1,))
    return ops.mean(of_image)


def share_in_crowd(candidates, boxes, is_crowd):
    """(B, R): the largest share of each candidate that lies in one crowd."""
    shared = shared_area(boxes[:, :, None], candidates[:, None])
    shared = ops.max(ops.where(is_crowd[..., None], shared, 0.0), axis=1)
    area = box_area(candidates)
    return shared / ops.where(area > 0, area, 1.0)
