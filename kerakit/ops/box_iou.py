"""How far boxes cover each other: IoU, and its forms that also tell boxes apart from afar."""

import math

from keras import ops

from kerakit.ops.box_formats import in_box_precision, split_boxes
from kerakit.ops.box_geometry import box_area

KINDS = ("iou", "giou", "diou", "ciou")


def pairwise_iou(boxes, others):
    """Intersection over union of each box with each other box.

    `|A and B| / |A or B|`, 0 where both are empty.

    Args:
        boxes: (..., N, 4) xyxy in pixels.
        others: (..., M, 4) xyxy in pixels.

    Returns:
        (..., N, M) tensor in [0, 1].

    Example:

    >>> iou = pairwise_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    >>> [round(float(v), 4) for v in iou[0]]
    [0.3333, 0.0]
    """
    boxes, others = in_box_precision(boxes), in_box_precision(others)
    return _overlap(boxes[..., :, None, :], others[..., None, :, :])[0]


def elementwise_iou(boxes, others, *, kind="iou"):
    """IoU, GIoU, DIoU or CIoU of each box with the other box in the same place.

    With `C` the smallest box around both, `d` the distance of their centres and `c` the
    diagonal of `C`:

    - `"iou"`: `|A and B| / |A or B|`,
    - `"giou"`: `IoU - (|C| - |A or B|) / |C|`,
    - `"diou"`: `IoU - d^2 / c^2`,
    - `"ciou"`: `DIoU - alpha v`, `v = 4 / pi^2 (atan(w'/h') - atan(w/h))^2` and
      `alpha = v / (1 - IoU + v)`, which takes no gradient.

    A quotient of 0 and 0 counts as 0, and `atan(w/h)` is that of the point (h, w), so that
    values and gradients are finite for boxes of no area. One minus it is the loss.

    Args:
        boxes: (..., 4) xyxy in pixels.
        others: (..., 4) xyxy in pixels.
        kind: "iou", "giou", "diou" or "ciou".

    Returns:
        (...) tensor: IoU in [0, 1], GIoU and DIoU in [-1, 1], CIoU below 1.

    Raises:
        ValueError: If `kind` is not one of the four.

    Reference:
        Rezatofighi et al., Generalized Intersection over Union: A Metric and A Loss for Bounding
        Box Regression, 2019, Algorithm 1; Zheng et al., Distance-IoU Loss: Faster and Better
        Learning for Bounding Box Regression, 2020, Eqs. 5 to 11. Deviations: none.

    Example:

    >>> one, other = [[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]]
    >>> [round(float(elementwise_iou(one, other, kind=k)[0]), 4) for k in ("iou", "giou", "diou")]
    [0.3333, 0.3333, 0.2564]
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, got {kind!r}.")
    boxes, others = in_box_precision(boxes), in_box_precision(others)
    iou, union = _overlap(boxes, others)
    if kind == "iou":
        return iou
    around = ops.concatenate(
        [
            ops.minimum(boxes[..., :2], others[..., :2]),
            ops.maximum(boxes[..., 2:], others[..., 2:]),
        ],
        axis=-1,
    )
    if kind == "giou":
        return iou - _quotient(box_area(around) - union, box_area(around))
    between = (boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]) / 2
    diagonal = around[..., 2:] - around[..., :2]
    diou = iou - _quotient(
        ops.sum(ops.square(between), axis=-1), ops.sum(ops.square(diagonal), axis=-1)
    )
    if kind == "diou":
        return diou
    v = (4 / math.pi**2) * ops.square(_slant(others) - _slant(boxes))
    alpha = ops.stop_gradient(_quotient(v, 1 - iou + v))
    return diou - alpha * v


def shared_area(boxes, others):
    """Area that two boxes share.

    Column by column: with the columns as the last axis, of 4, kernels run at a fraction of the
    speed.

    Args:
        boxes: (..., 4) xyxy in pixels.
        others: (..., 4) xyxy in pixels, of a shape that broadcasts.

    Returns:
        (...) in pixels, 0 where they do not meet.
    """
    left, top, right, bottom = split_boxes(boxes)
    other_left, other_top, other_right, other_bottom = split_boxes(others)
    width = ops.minimum(right, other_right) - ops.maximum(left, other_left)
    height = ops.minimum(bottom, other_bottom) - ops.maximum(top, other_top)
    return ops.relu(width) * ops.relu(height)


def _overlap(boxes, others):
    """IoU and area of the union."""
    shared = shared_area(boxes, others)
    union = box_area(boxes) + box_area(others) - shared
    return _quotient(shared, union), union


def _quotient(above, below):
    """0 where both are 0; the inner choice keeps the gradient finite there."""
    is_set = below > 0
    return ops.where(is_set, above / ops.where(is_set, below, 1.0), 0.0)


def _slant(boxes):
    """`atan(width / height)`, 0 with no gradient where both are 0."""
    x1, y1, x2, y2 = split_boxes(boxes)
    width, height = ops.relu(x2 - x1), ops.relu(y2 - y1)
    is_set = width + height > 0
    return ops.arctan2(ops.where(is_set, width, 0.0), ops.where(is_set, height, 1.0))
