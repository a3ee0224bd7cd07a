"""The last step of an export that answers with objects: boxes, perhaps masks."""

import functools

import numpy as np
import tensorflow as tf

from kerakit.export.task import Task
from kerakit.ops.original_boxes import original_boxes

UNITS = {
    "boxes": "left, top, right, bottom in pixels: of the file's image, upright, and cut off at "
    "its border, in serving_default; of the prepared image in tensors",
    "scores": "0 to 1, the surest first; then 0",
    "class_ids": "number of the class of each object, from 0; then -1",
    "class_names": "its name, a line of assets/classes.txt; then empty",
    "num_detections": "how many objects there are; what stands behind them is padding",
}
MASKS = {
    "masks": "probability that a point is in the object, on a grid of cells over its box",
}


def detection_answer(outputs, class_names, *, masks):
    """The objects of each image, the surest first, in arrays of one shape."""
    class_ids = tf.cast(outputs["classes"], tf.int64)
    is_object = class_ids >= 0
    answer = {
        "boxes": tf.cast(outputs["boxes"], tf.float32),
        "scores": tf.cast(outputs["scores"], tf.float32),
        "class_ids": class_ids,
        "class_names": tf.where(is_object, class_names(tf.maximum(class_ids, 0)), ""),
        "num_detections": tf.cast(outputs["num_detections"], tf.int32),
    }
    return {**answer, "masks": tf.cast(outputs["masks"], tf.float32)} if masks else answer


def placed(answer, geometry, image_size):
    """Boxes in the pixels of the files' images."""
    boxes = original_boxes(answer["boxes"], geometry, image_size=image_size)
    return {**answer, "boxes": tf.where(answer["class_ids"][..., None] >= 0, boxes, 0.0)}


def detection_differences(expected, served, *, masks):
    """Largest differences between two answers to the same images.

    An object of one answer is compared with the one of its class in the other that is the most
    like it: two that are as good as equally sure may stand in another order. Boxes differ by a
    part of the largest coordinate, masks by a probability, the mean over their cells (a cell at
    an edge differs by much more than the box does). An object that the other answer has not is
    as far off as its score; where the other answer is full, so that rounding may have dropped
    it, as its score is above the last one there.
    """
    compared = ("boxes", "scores", "masks") if masks else ("boxes", "scores")
    scale = max(np.abs(expected["boxes"]).max(initial=0.0), 1.0)
    worst = dict.fromkeys((*compared, "num_detections", "class_names"), 0.0)
    for image, rows in enumerate(expected["scores"]):
        pair = [_objects(answer, image) for answer in (expected, served)]
        if any(objects is None for objects in pair):
            worst["num_detections"] = float("inf")
            continue
        name_of = dict(zip(pair[0]["class_ids"], pair[0]["class_names"], strict=True))
        for number, name in zip(pair[1]["class_ids"], pair[1]["class_names"], strict=True):
            if name_of.get(number, name) != name:
                worst["class_names"] = float("inf")
        for one, other in (pair, pair[::-1]):
            is_full = len(other["scores"]) == len(rows)
            lowest = other["scores"].min() if is_full else 0.0
            for row in range(len(one["scores"])):
                for name, value in _unlikeness(one, row, other, scale, lowest).items():
                    value = float(value) if np.isfinite(value) else float("inf")
                    worst[name] = max(worst[name], value)
    return worst


def _objects(answer, image):
    """The rows of an image that are objects; None if they are not as many as is said."""
    number, is_object = int(answer["num_detections"][image]), answer["class_ids"][image] >= 0
    if number != is_object.sum() or not is_object[:number].all():
        return None
    return {name: rows[image][:number] for name, rows in answer.items() if name != "num_detections"}


def _unlikeness(one, row, other, scale, lowest):
    """By how much the object most like that of a row differs from it, in each output."""
    score = one["scores"][row]
    missing = {"scores": score - lowest}
    same = np.flatnonzero(other["class_ids"] == one["class_ids"][row])
    if not len(same):
        return missing
    boxes = np.abs(other["boxes"][same] - one["boxes"][row]).max(axis=-1) / scale
    scores = np.abs(other["scores"][same] - score)
    match = np.argmin(np.maximum(boxes, scores))
    if max(boxes[match], scores[match]) > missing["scores"]:
        return missing
    found = {"boxes": boxes[match], "scores": scores[match]}
    if "masks" in one:
        found["masks"] = np.abs(other["masks"][same[match]] - one["masks"][row]).mean()
    return found


def check_detector(model, classes, *, masks):
    """Refuses a model whose outputs are not those of a detector with these classes."""
    outputs = getattr(model, "num_classes", None)
    if outputs is None or not callable(getattr(model, "total_loss", None)):
        raise ValueError(
            "`model` must be a kerakit.models.detection.Detector for a task with boxes, got "
            f"{type(model).__name__}."
        )
    if outputs != len(classes):
        raise ValueError(f"`classes` has {len(classes)} names, and the model knows {outputs}.")
    if masks != getattr(model, "gives_masks", False):
        task = "detection" if masks else "instance_segmentation"
        raise ValueError(f"`task` must be {task!r} for a model with{'out' if masks else ''} masks.")


def _task(masks):
    return Task(
        units=UNITS | MASKS if masks else UNITS,
        answer=functools.partial(detection_answer, masks=masks),
        differences=functools.partial(detection_differences, masks=masks),
        check=functools.partial(check_detector, masks=masks),
        place=placed,
    )


DETECTION, INSTANCE_SEGMENTATION = _task(masks=False), _task(masks=True)
