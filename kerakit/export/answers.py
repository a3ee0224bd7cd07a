"""What a model's raw outputs become in an export: the last step of each task.

A task is one entry of `TASKS`. Exported signatures trace its `answer`, `card.json` lists its
`outputs`, and verification measures its `differences`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Output:
    """A named output: its dtype, its shape ("B" and "K" stand for sizes) and its unit."""

    name: str
    dtype: str
    shape: tuple
    unit: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """The last step of a task.

    Args:
        outputs: An `Output` for each name that `answer` gives.
        answer: `(model's outputs, function from class ids to names) -> dict of tensors`.
        differences: `(expected, served) -> dict of floats`, one an output; each at most the
            tolerance where the two agree. Both are dicts of arrays.
    """

    outputs: tuple[Output, ...]
    answer: Callable
    differences: Callable


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
    logits, probabilities = expected["logits"], expected["probabilities"]
    chosen = np.take_along_axis(probabilities, served["class_id"][:, None], axis=-1)[:, 0]
    name_of = dict(zip(expected["class_id"], expected["class_name"], strict=True))
    named = [
        name_of.get(number, name) == name
        for number, name in zip(served["class_id"], served["class_name"], strict=True)
    ]
    return {
        "logits": _largest(served["logits"] - logits) / max(_largest(logits), 1e-30),
        "probabilities": _largest(served["probabilities"] - probabilities),
        "class_id": _largest(probabilities.max(axis=-1) - chosen),
        "class_name": 0.0 if all(named) else float("inf"),
    }


def _largest(values):
    """Largest magnitude; infinity where something is not a number, so that it never passes."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


TASKS = {
    "classification": Task(
        outputs=(
            Output("logits", "float32", ("B", "K"), "unnormalised log-probability"),
            Output("probabilities", "float32", ("B", "K"), "0 to 1, summing to 1"),
            Output("class_id", "int64", ("B",), "number of the most probable class, from 0"),
            Output("class_name", "string", ("B",), "its name, a line of assets/classes.txt"),
        ),
        answer=classification_answer,
        differences=classification_differences,
    ),
}
