"""Which cells learn which object: those that classify and locate it best together."""

from keras import ops

from kerakit.ops.box_formats import in_box_precision
from kerakit.ops.box_geometry import box_area
from kerakit.ops.box_iou import pairwise_iou


def task_aligned_matching(
    class_logits, boxes, *, points, truth_boxes, labels, top=13, alpha=1.0, beta=6.0, least_side=8.0
):
    """Matches every cell with an object, or none, by its own prediction, and says how well.

    A cell and an object whose box holds the cell's point are aligned by `t = s^alpha u^beta`,
    with `s` the cell's score for the object's class and `u` the IoU of the cell's box with the
    object's. An object takes the `top` cells of highest t (and those equal to the last of
    them). A cell that several take goes to the one of highest IoU, the first of equal ones.
    The cell's target is `t / max t * max u`, with both maxima over the cells of the object: the
    score that its class is to have.

    All happens in logarithms of t, where no power of a small IoU is lost. Memory: some arrays
    of (B, N, A).

    Args:
        class_logits: (B, A, K) float, of A cells.
        boxes: (B, A, 4) xyxy in pixels, predicted.
        points: (A, 2) centres (x, y) of the cells in pixels.
        truth_boxes: (B, N, 4) xyxy in pixels.
        labels: (B, N) int classes 0..K-1; a row with another label or of no area is no object.
        top: Most cells an object takes, but for equal ones.
        alpha: Power of the score.
        beta: Power of the IoU.
        least_side: Boxes are taken to be at least as wide and as high as this, in pixels, when
            asked which points they hold: at the finest stride each object has a point.

    Returns:
        Tuple of `matches` (B, A) int32, the row of the object or -1, and `targets` (B, A) float32
        in [0, 1], 0 where there is no match. Neither has a gradient.

    Reference:
        Feng et al., TOOD: Task-aligned One-stage Object Detection, 2021, Section 3.2. Deviations:
        `least_side`; a cell between objects goes by IoU, of which the paper says nothing.
    """
    class_logits, boxes = (
        ops.stop_gradient(ops.convert_to_tensor(x)) for x in (class_logits, boxes)
    )
    num_cells, num_classes = class_logits.shape[-2:]
    log_scores = -ops.softplus(-ops.cast(class_logits, "float32"))
    labels = ops.cast(labels, "int32")
    truth_boxes = in_box_precision(truth_boxes)
    is_object = ops.logical_and(labels >= 0, labels < num_classes)
    is_object = ops.logical_and(is_object, box_area(truth_boxes) > 0)
    labels = ops.where(is_object, labels, 0)

    # (B, N, A), as all that follows up to the matches.
    of_class = ops.one_hot(labels, num_classes, dtype="float32")
    log_score = ops.matmul(of_class, ops.transpose(log_scores, (0, 2, 1)))
    iou = pairwise_iou(truth_boxes, boxes)
    is_candidate = _holds(truth_boxes, points, least_side)
    is_candidate = ops.logical_and(is_candidate, is_object[..., None])
    is_candidate = ops.logical_and(is_candidate, iou > 0)
    alignment = alpha * log_score + beta * _log(iou)
    alignment = ops.where(is_candidate, alignment, float("-inf"))
    last = ops.top_k(alignment, min(top, num_cells), sorted=True)[0][..., -1:]
    is_taken = ops.logical_and(is_candidate, alignment >= last)

    taken_iou = ops.where(is_taken, iou, 0.0)
    best_iou = ops.max(taken_iou, axis=1)  # (B, A), as all that follows
    owner = ops.cast(ops.argmax(taken_iou, axis=1), "int32")
    is_matched = best_iou > 0
    matches = ops.where(is_matched, owner, -1)

    row = ops.arange(labels.shape[1], dtype="int32")[None, :, None]
    is_own = ops.equal(matches[:, None, :], row)
    highest = ops.max(ops.where(is_own, alignment, float("-inf")), axis=-1)
    highest_iou = ops.max(ops.where(is_own, iou, 0.0), axis=-1)
    own_label = ops.take_along_axis(labels, owner, axis=1)
    own = ops.take_along_axis(log_scores, own_label[..., None], axis=2)[..., 0]
    own = alpha * own + beta * _log(best_iou)
    # Where there is no match it may be infinity minus infinity.
    ahead = ops.take_along_axis(highest, owner, axis=1)
    share = ops.exp(ops.where(is_matched, own - ops.where(is_matched, ahead, 0.0), 0.0))
    targets = ops.minimum(share, 1.0) * ops.take_along_axis(highest_iou, owner, axis=1)
    return matches, ops.where(is_matched, targets, 0.0)


def points_in_boxes(points, boxes):
    """Whether each point lies in each box, its right and lower edge left out.

    Args:
        points: (A, 2) points (x, y) in pixels.
        boxes: (B, N, 4) xyxy in pixels.

    Returns:
        (B, N, A) bool.
    """
    points, boxes = ops.convert_to_tensor(points), in_box_precision(boxes)
    x, y = points[:, 0], points[:, 1]
    left, top, right, bottom = (boxes[..., column, None] for column in range(4))
    across = ops.logical_and(x >= left, x < right)
    return ops.logical_and(across, ops.logical_and(y >= top, y < bottom))


def _holds(boxes, points, least_side):
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = ops.maximum(boxes[..., 2:] - boxes[..., :2], least_side) / 2
    return points_in_boxes(points, ops.concatenate([centre - half, centre + half], axis=-1))


def _log(iou):
    return ops.log(ops.maximum(iou, 1e-30))
