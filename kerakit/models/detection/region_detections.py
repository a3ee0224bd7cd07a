"""From the scores and boxes of regions, one a class, to an image's final detections."""

from keras import ops

from kerakit.ops import box_area, clip_boxes, non_max_suppression

# Pairs of a region and a class that non-maximum suppression looks at, by descending score.
CANDIDATES = 2000


def region_detections(
    boxes, scores, *, image_size, score_threshold, iou_threshold, max_detections, is_region
):
    """The best detections of each class, of which none covers another of its class too far.

    Args:
        boxes: (B, R, K, 4) xyxy in pixels, the box of each region as each class.
        scores: (B, R, K) score of each region as each class.
        image_size: (height, width) in pixels, where boxes are cut off.
        score_threshold: Only scores above it count.
        iou_threshold: Largest IoU of two detections of one class.
        max_detections: D, detections of an image.
        is_region: (B, R) bool, False for padding.

    Returns:
        Dict of `boxes` (B, D, 4), `scores` (B, D), `classes` (B, D) int32 and `num_detections`
        (B,) int32, best first; padding has class -1 and zeros.
    """
    num_regions, num_classes = scores.shape[1:]
    scores = ops.where(is_region[..., None], ops.cast(scores, "float32"), float("-inf"))
    scores = ops.reshape(scores, (-1, num_regions * num_classes))
    boxes = ops.reshape(ops.cast(boxes, "float32"), (-1, num_regions * num_classes, 4))
    scores, candidates = ops.top_k(scores, min(CANDIDATES, num_regions * num_classes))
    boxes = clip_boxes(ops.take_along_axis(boxes, candidates[..., None], axis=1), image_size)
    scores = ops.where(box_area(boxes) > 0, scores, float("-inf"))
    classes = ops.cast(candidates % num_classes, "int32")
    return suppressed(
        boxes,
        scores,
        classes,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
    )


def suppressed(boxes, scores, classes, *, score_threshold, iou_threshold, max_detections):
    """Detections, of which none covers another of its class too far.

    Args:
        boxes: (B, M, 4) xyxy in pixels.
        scores: (B, M).
        classes: (B, M) int32.
        score_threshold: Only scores above it count.
        iou_threshold: Largest IoU of two detections of one class.
        max_detections: D, detections of an image.

    Returns:
        As `region_detections`.
    """
    kept, num_detections = non_max_suppression(
        boxes,
        scores,
        iou_threshold=iou_threshold,
        max_output=max_detections,
        score_threshold=score_threshold,
        classes=classes,
    )
    is_kept = ops.arange(max_detections, dtype="int32")[None] < num_detections[:, None]
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    return {
        "boxes": ops.where(is_kept[..., None], boxes, 0.0),
        "scores": ops.where(is_kept, ops.take_along_axis(scores, kept, axis=1), 0.0),
        "classes": ops.where(is_kept, ops.take_along_axis(classes, kept, axis=1), -1),
        "num_detections": num_detections,
    }
