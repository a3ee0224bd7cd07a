"""What a model's raw outputs become in an export: the last step of each task.

A task is one entry of `TASKS`. Exported signatures trace its `answer`, `card.json` gives their
`units`, and verification measures its `differences`.
"""

import numpy as np
import tensorflow as tf

from kerakit.export.detections import DETECTION, INSTANCE_SEGMENTATION
from kerakit.export.masks import SEGMENTATION
from kerakit.export.task import Task, check_ends_in_logits


def classification_answer(logits, class_names):
    """The most probable class of each image, with all probabilities."""
    # In float32 whatever the model computes in: probabilities of float16 do not sum to 1.
    logits = tf.cast(logits, tf.float32)
    class_id = tf.argmax(logits, axis=-1, output_type=tf.int64)
    return {
        "logits": logits,
        "probabilities": tf.nn.softmax(logits),
        "class_id": class_id,
        "class_name": class_names(class_id),
    }


def classification_differences(expected, served):
    """Largest differences between two answers to the same images.

    Logits have no scale of their own, so theirs is relative to the largest. A served class
    may be another than expected where the two are as good as equally probable: counted is
    what it lacks in probability. Its name must be the one of its number.
    """
    probabilities = expected["probabilities"]
    chosen = np.take_along_axis(probabilities, served["class_id"][:, None], axis=-1)[:, 0]
    name_of = dict(zip(expected["class_id"], expected["class_name"], strict=True))
    named = [
        name_of.get(number, name) == name
        for number, name in zip(served["class_id"], served["class_name"], strict=True)
    ]
    return {
        **_score_differences(expected, served),
        "class_id": _largest(probabilities.max(axis=-1) - chosen),
        "class_name": 0.0 if all(named) else float("inf"),
    }


def multi_label_answer(logits, class_names, *, threshold):
    """The classes of each image with at least that probability, the surest first.

    Of any number an image, in arrays of one shape: behind the last one stand -1 and no name.
    """
    logits = tf.cast(logits, tf.float32)
    probabilities = tf.nn.sigmoid(logits)
    count = tf.reduce_sum(tf.cast(probabilities >= threshold, tf.int32), axis=-1)
    order = tf.argsort(-logits, stable=True)  # of two alike the first, as argmax takes it
    is_named = tf.range(tf.shape(logits)[1]) < count[:, None]
    return {
        "logits": logits,
        "probabilities": probabilities,
        "num_classes": count,
        "class_ids": tf.cast(tf.where(is_named, order, -1), tf.int64),
        "class_names": tf.where(is_named, class_names(order), ""),
    }


def multi_label_differences(expected, served, *, threshold):
    """Largest differences between two answers to the same images.

    As for one class. Where another class is named than expected, or one is not, counted is how
    far its probability lies from the threshold; where two stand in another order, how far the
    second is above the first.
    """
    probabilities, ids = expected["probabilities"], served["class_ids"]
    named, known = (_named(i, probabilities.shape[1]) for i in (ids, expected["class_ids"]))
    doubtful = np.abs(probabilities - threshold)[named != known]
    in_order = np.take_along_axis(probabilities, np.maximum(ids, 0), axis=1)
    rises = np.maximum(np.where(ids[:, 1:] >= 0, np.diff(in_order, axis=1), 0.0), 0.0)
    name_of = dict(zip(expected["class_ids"].flat, expected["class_names"].flat, strict=True))
    names_fit = all(
        ("" if number < 0 else name_of.get(number, name)) == name
        for number, name in zip(ids.flat, served["class_names"].flat, strict=True)
    )
    # Each class once, those named before the rest, and as many as is said.
    is_whole = np.array_equal(np.cumprod(ids >= 0, axis=1).sum(axis=1), named.sum(axis=1))
    is_counted = np.array_equal(served["num_classes"], named.sum(axis=1))
    return {
        **_score_differences(expected, served),
        "num_classes": 0.0 if is_counted else float("inf"),
        "class_ids": max(_largest(doubtful), _largest(rises)) if is_whole else float("inf"),
        "class_names": 0.0 if names_fit else float("inf"),
    }


def _named(ids, num_classes):
    """(B, K) bool: which classes stand in the rows of ids (B, K), where -1 is none."""
    named = np.zeros((len(ids), num_classes + 1), bool)
    np.put_along_axis(named, ids, True, axis=1)  # -1 is the last column
    return named[:, :-1]


def _score_differences(expected, served):
    logits = expected["logits"]
    return {
        "logits": _largest(served["logits"] - logits) / max(_largest(logits), 1e-30),
        "probabilities": _largest(served["probabilities"] - expected["probabilities"]),
    }


def _largest(values):
    """Largest magnitude; infinity where something is not a number, so that it never passes."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def check_logits(model, classes):
    """Refuses a model that gives other than one logit a class."""
    if hasattr(model, "max_detections"):
        raise ValueError(
            "`task` must be detection or instance_segmentation for a detector, and this is one."
        )
    if model.output_shape[1:] != (len(classes),):
        raise ValueError(
            f"`classes` has {len(classes)} names, and the model's outputs are "
            f"{model.output_shape[1:]} an image; one number a class is needed."
        )
    check_ends_in_logits(model)


CLASSIFICATION = Task(
    units={
        "logits": "unnormalised log-probability",
        "probabilities": "0 to 1, summing to 1",
        "class_id": "number of the most probable class, from 0",
        "class_name": "its name, a line of assets/classes.txt",
    },
    answer=classification_answer,
    differences=classification_differences,
    check=check_logits,
)

TASKS = {
    "classification": CLASSIFICATION,
    "multi_label": Task(
        units={
            "logits": "log of the odds of each class",
            "probabilities": "0 to 1, each class by itself",
            "num_classes": "how many classes have the threshold or more",
            "class_ids": "their numbers, the surest first; then -1",
            "class_names": "their names; then empty",
        },
        answer=multi_label_answer,
        differences=multi_label_differences,
        check=check_logits,
        threshold=0.5,
    ),
    "detection": DETECTION,
    "instance_segmentation": INSTANCE_SEGMENTATION,
    "segmentation": SEGMENTATION,
    "video": CLASSIFICATION,  # of a clip, which is given another way
}
