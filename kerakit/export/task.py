"""What an export needs to know of a task."""

import dataclasses
from collections.abc import Callable

import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """The last step of a task.

    Args:
        units: For each name that `answer` gives, what its numbers are.
        answer: `(model's outputs, function from class ids to names) -> dict of tensors`.
        differences: `(expected, served) -> dict of floats`, one an output; each at most the
            tolerance where the two agree. Both are dicts of arrays.
        check: `(model, classes)`, which raises a ValueError if the model is none for the task.
        place: None, or `(answer, geometry (B, 4), image_size (B, 2)) -> answer`, which moves what
            lies in the pixels of the prepared image to those of the file's. Only the signature
            that takes files has it.
        whole: None, or `(model, preparation, tiling) -> function` of encoded images (B,), which
            gives the answer for their own pixels, whatever their sizes. The signature that takes
            files is then this function, and the one of prepared images has of its outputs those
            that `answer` gives.
        threshold: The probability from which on a class is named, unless an export has
            another; `answer` and `differences` then take it by this name. None where the task
            has no such thing.
    """

    units: dict[str, str]
    answer: Callable
    differences: Callable
    check: Callable
    place: Callable | None = None
    whole: Callable | None = None
    threshold: float | None = None

    def settings(self, threshold=None):
        """Keyword arguments of `answer` and `differences`: the threshold given, or the task's.

        Raises:
            ValueError: If it is not between 0 and 1, or the task has none.
        """
        if self.threshold is None:
            if threshold is not None:
                raise ValueError(f"`threshold` is for several labels an image, got {threshold}.")
            return {}
        threshold = self.threshold if threshold is None else float(threshold)
        if not 0 < threshold < 1:
            raise ValueError(f"`threshold` must be between 0 and 1, got {threshold}.")
        return {"threshold": threshold}


def check_ends_in_logits(model):
    """Refuses a model whose last layer makes probabilities."""
    activation = getattr(model.layers[-1], "activation", None)
    if isinstance(model.layers[-1], keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    ):
        raise ValueError(
            f"`model` must end in logits, and its last layer {model.layers[-1].name!r} applies "
            "an activation; the export adds it."
        )
