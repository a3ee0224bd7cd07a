"""What is explained: one score of each example, out of all that a model answers."""

import dataclasses
from collections.abc import Callable

import numpy as np
from keras import ops, tree

from kerakit.explain.heat_map import with_values
from kerakit.explain.inputs import named_place


@dataclasses.dataclass(frozen=True)
class Pixel:
    """The score of a class at one place of a segmenter's answer.

    Attributes:
        row: Row of the answer, from 0.
        column: Column of the answer, from 0.
        class_index: Class, or None for the one predicted there.
    """

    row: int
    column: int
    class_index: int | None = None


@dataclasses.dataclass(frozen=True)
class Region:
    """The score of a class summed over some pixels of a segmenter's answer.

    Attributes:
        mask: (H, W) or (B, H, W), true where pixels count, of the answer's size.
        class_index: Class.
    """

    mask: object
    class_index: int


@dataclasses.dataclass(frozen=True)
class Detection:
    """The score of one detection of a detector of kerakit's.

    Attributes:
        index: Its rank, 0 for the one of highest score. Images with fewer detections have a score
            of 0 and an empty map.
    """

    index: int = 0


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A target, settled for the images at hand.

    Attributes:
        score: Function from what the model returns to (B,) float32 scores.
        classes: (B,) int32 classes that the scores are of, or None. -1 is "not class 0".
        boxes: (B, 4) xyxy boxes that the scores are of, or None.
        of_all: Whether the score may be of anything that the model returns, and not of its answer
            alone.
    """

    score: Callable
    classes: object = None
    boxes: object = None
    of_all: bool = False


def is_detections(outputs):
    """Whether a model returned detections, as kerakit's detectors do."""
    return isinstance(outputs, dict) and {"boxes", "scores", "classes"} <= set(outputs)


def answer(outputs):
    """The answer among what a model returns, or None where several things could be it.

    It is what is named "logits", or the only one that has the shape of scores of classes, of an
    image or of each place.
    """
    if is_detections(outputs):
        return None
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    tensors = tree.flatten(outputs)
    likely = [x for x in tensors if len(x.shape) in (2, 4)] or tensors
    return likely[0] if len(likely) == 1 else None


def choose(target, outputs):
    """Settles a target.

    Args:
        target: As of `kerakit.explain.grad_cam`.
        outputs: What the model returned for the images.

    Returns:
        `Chosen`.

    Raises:
        ValueError: If the target does not suit the outputs, or is out of their range.
    """
    if is_detections(outputs):
        return _detection(Detection() if target is None else target, outputs)
    if isinstance(target, Detection):
        raise ValueError(
            "`target` must be a class, a pixel or a function for a model that gives no detections, "
            f"got {target!r}."
        )
    if callable(target):
        return _by_function(target)
    scores = answer(outputs)
    if scores is None:
        leaves = tree.flatten_with_path(outputs)
        told = ", ".join(f"outputs{named_place(path)} {tuple(x.shape)}" for path, x in leaves)
        raise ValueError(
            "`target` must be a function of the outputs to (B,) scores for a model of several "
            f"answers, none of them named logits ({told}), got {target!r}."
        )
    if len(scores.shape) == 2:
        return _class(target, scores)
    if len(scores.shape) == 4:
        return _pixels(target, scores)
    raise ValueError(
        "`target` must be a function of the outputs to (B,) scores for a model whose answer has "
        f"the shape {tuple(scores.shape)}, got {target!r}."
    )


def _detection(target, outputs):
    if callable(target):
        return _by_function(target)
    most = outputs["scores"].shape[1]
    if not isinstance(target, Detection):
        raise ValueError(
            "`target` must be None, explain.Detection(index) or a function of the outputs for a "
            f"detector, got {target!r}."
        )
    index = target.index
    if not isinstance(index, int) or not 0 <= index < most:
        raise ValueError(f"`index` must be a rank from 0 to {most - 1}, got {index!r}.")
    return Chosen(
        lambda outputs: ops.cast(outputs["scores"][:, index], "float32"),
        outputs["classes"][:, index],
        outputs["boxes"][:, index],
        of_all=True,
    )


def _by_function(function):
    def score(outputs):
        scores = ops.cast(function(outputs), "float32")
        if len(scores.shape) != 1:
            raise ValueError(
                "`target` must give one score an example, (B,), got the shape "
                f"{tuple(scores.shape)}."
            )
        return scores

    return Chosen(score, of_all=True)


def _class(target, scores):
    if target is None:
        classes = _predicted(scores)
    elif isinstance(target, (Pixel, Region)):
        raise ValueError(
            f"`target` must be a class, or None, for a model of one answer an image, got {target!r}"
            "; pixels are for segmenters."
        )
    else:
        classes = _classes(target, scores)
    return Chosen(lambda outputs: _of_classes(answer(outputs), classes), classes)


def _predicted(scores):
    """(B,) int32 of the highest score; of one unit 0 for yes, and -1, not 0, for no."""
    if scores.shape[-1] == 1:
        return ops.where(scores[:, 0] < 0, ops.full((), -1, "int32"), ops.full((), 0, "int32"))
    return ops.cast(ops.argmax(scores, axis=-1), "int32")


def _classes(target, scores):
    """(B,) int32 of one class, or one an example."""
    given = with_values(ops.convert_to_tensor(target))
    kind = str(given.dtype)
    if "int" not in kind or len(given.shape) > 1:
        raise ValueError(
            f"`target` must be a class, or one class an example, as whole numbers, got {target!r}."
        )
    if isinstance(given, np.ndarray):
        _check_class(given, scores.shape[-1], "target")
        batch = scores.shape[0]
        if given.ndim and batch is not None and len(given) != batch:
            raise ValueError(f"`target` must be one class an example, {batch}, got {len(given)}.")
    return ops.broadcast_to(ops.cast(given, "int32"), ops.shape(scores)[:1])


def _check_class(index, count, name):
    outside = [int(one) for one in np.ravel(index) if not 0 <= one < count]
    if outside:
        told = f"a class from 0 to {count - 1}, of the {count} of the model"
        raise ValueError(f"`{name}` must be {told}, got {outside[0]}.")


def _of_classes(scores, classes):
    scores, index = ops.cast(scores, "float32"), ops.maximum(classes, 0)
    of_class = ops.take_along_axis(scores, index[:, None], axis=-1)[:, 0]
    return ops.where(classes < 0, -of_class, of_class)


def _pixels(target, scores):
    height, width, count = scores.shape[1:]
    if isinstance(target, Pixel):
        for name, index, size in (("row", target.row, height), ("column", target.column, width)):
            if size is not None and not 0 <= index < size:
                raise ValueError(f"`{name}` must be from 0 to {size - 1}, got {index}.")
        there = scores[:, target.row, target.column]
        if target.class_index is None:
            classes = _predicted(there)
        else:
            _check_class(target.class_index, count, "class_index")
            classes = _classes(target.class_index, there)
        return Chosen(
            lambda outputs: _of_classes(answer(outputs)[:, target.row, target.column], classes),
            classes,
        )
    if isinstance(target, Region):
        _check_class(target.class_index, count, "class_index")
        mask = ops.cast(target.mask, "float32")
        mask = mask[None] if len(mask.shape) == 2 else mask
        if tuple(mask.shape[1:]) != (height, width):
            raise ValueError(
                f"`mask` must have the answer's size {(height, width)}, got {tuple(mask.shape)}."
            )

        def score(outputs):
            of_class = ops.cast(answer(outputs)[..., target.class_index], "float32")
            return ops.sum(of_class * mask, axis=(1, 2))

        return Chosen(score, ops.full(ops.shape(scores)[:1], target.class_index, "int32"))
    raise ValueError(
        "`target` must be explain.Pixel(row, column), explain.Region(mask, class_index) or a "
        f"function of the outputs for a segmenter, got {target!r}."
    )
