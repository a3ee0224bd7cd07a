"""Boxes as offsets from anchors or proposals, as the R-CNN family learns them, and back."""

import math

from keras import ops

from kerakit.ops.box_formats import convert_boxes, in_box_precision

# exp(4.135) = 62.5: no step of training makes a box more than 62.5 times its anchor.
LARGEST_LOG = math.log(1000 / 16)
# Pixels: what is narrower counts as 1 pixel wide, so that logarithms and quotients are finite.
_LEAST_SIDE = 1e-6


def encode_boxes(boxes, anchors, *, weights=(1.0, 1.0, 1.0, 1.0)):
    """Offsets that turn anchors into boxes.

    With centre (x, y), width w and height h of the box and `a` of its anchor:
    `t = (wx (x - xa) / wa, wy (y - ya) / ha, ww log(w / wa), wh log(h / ha))`.

    Args:
        boxes: (..., 4) xyxy in pixels.
        anchors: (..., 4) xyxy in pixels, of as many rows or broadcast to them.
        weights: (wx, wy, ww, wh), by which the offsets are multiplied.

    Returns:
        (..., 4) offsets (tx, ty, tw, th). A side of at most 1e-6 counts as 1 pixel, so that
        those of padding are finite.

    Reference:
        Ren et al., Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
        Networks, 2015, Eq. 2; the weights are those of its authors' code and torchvision.
        Deviations: sides of at most 1e-6.

    Example:

    >>> offsets = encode_boxes([[10.0, 10.0, 30.0, 20.0]], [[0.0, 0.0, 20.0, 20.0]])
    >>> [round(float(v), 4) for v in offsets[0]]
    [0.5, 0.25, 0.0, -0.6931]
    """
    box = convert_boxes(boxes, source="xyxy", target="cxcywh")
    anchor = convert_boxes(anchors, source="xyxy", target="cxcywh")
    side, anchor_side = _at_least_some(box[..., 2:]), _at_least_some(anchor[..., 2:])
    shift = (box[..., :2] - anchor[..., :2]) / anchor_side
    offsets = ops.concatenate([shift, ops.log(side / anchor_side)], axis=-1)
    return offsets * ops.convert_to_tensor(weights, dtype=offsets.dtype)


def decode_boxes(offsets, anchors, *, weights=(1.0, 1.0, 1.0, 1.0), largest_log=LARGEST_LOG):
    """Boxes that offsets make of anchors, the inverse of `encode_boxes`.

    Args:
        offsets: (..., 4) tensor (tx, ty, tw, th).
        anchors: (..., 4) xyxy in pixels, broadcast to `offsets`: for offsets (..., R, K, 4) of K
            classes pass `proposals[..., None, :]`.
        weights: (wx, wy, ww, wh), by which the offsets were multiplied.
        largest_log: Limit of `tw / ww` and `th / wh`, so that the exponential does not overflow.

    Returns:
        (..., 4) xyxy in pixels, not clipped to the image.

    Reference:
        As `encode_boxes`; the limit is torchvision's. Deviations: none.

    Example:

    >>> boxes = decode_boxes([[0.5, 0.25, 0.0, -0.6931472]], [[0.0, 0.0, 20.0, 20.0]])
    >>> [round(float(v), 3) for v in boxes[0]]
    [10.0, 10.0, 30.0, 20.0]
    """
    offsets = in_box_precision(offsets)
    offsets = offsets / ops.convert_to_tensor(weights, dtype=offsets.dtype)
    anchor = convert_boxes(anchors, source="xyxy", target="cxcywh")
    anchor = ops.cast(anchor, offsets.dtype)
    centre = offsets[..., :2] * anchor[..., 2:] + anchor[..., :2]
    half = ops.exp(ops.minimum(offsets[..., 2:], largest_log)) * anchor[..., 2:] / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def _at_least_some(sides):
    return ops.where(sides > _LEAST_SIDE, sides, 1.0)
