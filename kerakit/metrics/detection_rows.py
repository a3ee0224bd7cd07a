"""Padded truth and detections as rows of fixed-size buffers, in a step."""

import keras
from keras import ops


def truth_rows(y_true, *, num_classes, max_boxes):
    """(B, max_boxes, 7) float32: box, label + 1, crowd, area; zeros where there is no object."""
    boxes = _boxes(y_true, "y_true", "max_boxes", max_boxes)
    labels = ops.cast(y_true["labels"], "int32")
    there = (labels >= 0) & (labels < num_classes)
    nothing = ops.zeros_like(boxes[..., 0])
    crowd = ops.cast(y_true["crowd"], "float32") if "crowd" in y_true else nothing
    area = ops.cast(y_true["area"], "float32") if "area" in y_true else nothing - 1.0
    return _rows(there, boxes, labels, crowd, area, most=max_boxes)


def found_rows(y_pred, *, num_classes, max_detections):
    """(B, max_detections, 6) float32: box, class + 1, score; zeros where there is nothing."""
    boxes = _boxes(y_pred, "y_pred", "max_detections", max_detections)
    labels = ops.cast(y_pred["classes"], "int32")
    scores = ops.cast(y_pred["scores"], "float32")
    there = (labels >= 0) & (labels < num_classes)
    there &= ops.isfinite(scores) & ops.all(ops.isfinite(boxes), axis=-1)
    if "num_detections" in y_pred:
        count = ops.reshape(ops.cast(y_pred["num_detections"], "int32"), (-1, 1))
        there &= ops.arange(boxes.shape[1], dtype="int32") < count
    return _rows(there, boxes, labels, scores, most=max_detections)


def mask_rows(side, side_name, *, mask_size, most):
    """(B, most, bytes) uint8: bits of the masks."""
    masks = ops.convert_to_tensor(side["masks"])
    dtype = keras.backend.standardize_dtype(masks.dtype)
    if tuple(masks.shape[2:]) != mask_size or "float" in dtype:
        raise ValueError(
            f"`{side_name}['masks']` must be (B, N, {mask_size[0]}, {mask_size[1]}), bool or "
            f"integers, got shape {tuple(masks.shape)} of {dtype}."
        )
    return _filled_up(packed_masks(masks), most)


def packed_masks(masks):
    """Bits of masks, eight in a byte.

    A mask's pixels are cut into eight runs, and a byte takes a bit of each: a CPU shifts and
    adds runs several times as fast as every eighth pixel.

    Args:
        masks: (B, N, h, w) bool or integers, nonzero inside the object.

    Returns:
        (B, N, ceil(h w / 8)) uint8; `detection_columns.unpacked` is the way back.
    """
    height, width = masks.shape[2:]
    size = -(-height * width // 8)
    bits = ops.cast(ops.cast(masks, "bool"), "uint8")
    bits = ops.reshape(bits, (-1, masks.shape[1], height * width))
    if 8 * size > height * width:
        bits = ops.pad(bits, [(0, 0), (0, 0), (0, 8 * size - height * width)])
    packed = bits[..., :size]
    for run in range(1, 8):
        packed = packed * 2 + bits[..., run * size : (run + 1) * size]
    return packed


def _boxes(side, side_name, argument, most):
    boxes = ops.cast(side["boxes"], "float32")
    if len(boxes.shape) != 3 or boxes.shape[1] is None or boxes.shape[1] > most:
        raise ValueError(
            f"`{side_name}['boxes']` must be (B, N, 4) with a known N of at most {argument}="
            f"{most}, got shape {tuple(boxes.shape)}."
        )
    return boxes


def _rows(there, boxes, labels, *extra, most):
    columns = [ops.cast(labels, "float32") + 1.0, *extra]
    rows = ops.concatenate([boxes, ops.stack(columns, axis=-1)], axis=-1)
    return _filled_up(ops.where(there[..., None], rows, 0.0), most)


def _filled_up(rows, most):
    missing = most - rows.shape[1]
    return ops.pad(rows, [(0, 0), (0, missing), (0, 0)]) if missing else rows
