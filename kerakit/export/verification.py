"""Does an export answer as the model that it came from?"""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from kerakit.data import Preparation
from kerakit.export.answers import TASKS
from kerakit.export.card import now, read_card, write_card
from kerakit.export.check_files import checks_of
from kerakit.export.explanation import EXPLAIN, expected_explanation, explanation_differences
from kerakit.export.folder import version_folder
from kerakit.export.fresh_answers import ProcessFailed, ask_fresh_process
from kerakit.export.requests import asked_by
from kerakit.export.tiling import Tiling

TOLERANCE = 1e-5
# A norm folded into the layer before it rounds the layer's weights anew: by that, an export of
# MobileNetV2 with its published weights differs from the model by 3e-5 of the largest logit.
FOLDED_TOLERANCE = 1e-4
# Maps of all layers for all images, or clips, at once would not fit into the memory.
_LARGE_AT_ONCE = 8
_SIGNATURES = ("serving_default", "tensors")


class VerificationError(RuntimeError):
    """An export does not answer as its model does; the message names the worst of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
    """What a verification found.

    Attributes:
        passed: Whether everything agreed.
        finding: One sentence: the worst difference, or what went wrong.
        tolerance: Largest difference allowed.
        worst: Largest difference found.
        differences: For each "check / signature" the largest difference of each output.
        refusals: For each kind of broken file, the error it was answered with.
        seconds: Time it took, the fresh process included.
        date: When, in UTC.
    """

    passed: bool
    finding: str
    tolerance: float
    worst: float
    differences: dict
    refusals: dict
    seconds: float
    date: str


def verify(directory, model, *, images=None, explain=None):
    """Compares a SavedModel, in a fresh process, with the model that it came from.

    The process imports TensorFlow and NumPy; imports of kerakit and of Keras fail in it. It
    answers batches of 1, 3 and 17 encoded images (JPEG and PNG, grey and colour, with and
    without alpha, odd sizes), an image of 1 x 1 pixel, an all-black one and the `images`
    given, each through all signatures. Expected is what `model.predict` gives for the same
    images when prepared here, all in one go: an answer may not hang on its batch; for masks in
    the files' own pixels, what `whole_image` makes of it, an image of several tiles among them.
    An empty
    file, a text and a JPEG cut in half must be refused before all that. The result is written
    into `card.json`.

    Args:
        directory: A version's folder, or the folder of versions, of which the newest is taken.
        model: The Keras model that was exported.
        images: Encoded images (bytes) to check besides, such as some of the validation set; of
            a model of clips, lists of encoded frames.
        explain: The function that the export was given as `explain`; needed where there was one.

    Returns:
        A `Verification`.

    Raises:
        VerificationError: If an answer differs by more than 1e-5, or 1e-4 where norms were
            folded into the layers before them (logits: relative to the largest; boxes: to the
            largest coordinate; masks of objects: the mean over a mask's cells; heat maps: the mean
            square over a map's cells, of weak maps less), or a broken file is not refused with a
            clear error.
        InputError: If the directory holds no export of kerakit's.
        ValueError: If `explain` is missing, or the export has no such signature.
    """
    start = time.monotonic()
    folder = version_folder(directory)
    card = read_card(folder)
    task, settings = _task(card)
    tolerance = FOLDED_TOLERANCE if card.get("folded") else TOLERANCE
    asked, images = asked_by(card), list(images or ())
    asked.check(images)
    inputs = dict(zip(_SIGNATURES, (asked.encoded, asked.pixels), strict=True))
    if _has_explanation(card, explain):
        inputs[EXPLAIN] = asked.encoded
    checks = checks_of(images, asked, in_tiles=bool(card.get("tiling")))
    prepared = {
        check: [part.numpy() for part in asked.prepare(tf.constant(encoded))]
        for check, encoded in checks.items()
    }
    pixels = {check: parts[0] for check, parts in prepared.items()}
    expected = _expected(model, checks, prepared, card, explain)
    try:
        served, refusals = ask_fresh_process(folder, checks, pixels, asked=asked, inputs=inputs)
    except ProcessFailed as failure:
        differences, refusals = {}, {}
        worst, finding = float("inf"), f"it cannot be run by TensorFlow alone: {failure}"
    else:
        differences = {
            f"{check} / {signature}": task.differences(
                expected[check][signature], served[check][signature], **settings
            )
            for check in checks
            for signature in inputs
        }
        if explain:
            _add_explanation_differences(differences, expected, served)
        worst, finding = _judge(differences, refusals)
    result = Verification(
        passed=worst <= tolerance,
        finding=finding,
        tolerance=tolerance,
        worst=worst,
        differences=differences,
        refusals=refusals,
        seconds=round(time.monotonic() - start, 2),
        date=now(),
    )
    card["verification"] = dataclasses.asdict(result)
    write_card(folder, card)
    if not result.passed:
        raise VerificationError(f"{folder} does not answer as its model: {finding.rstrip('.')}.")
    return result


def _has_explanation(card, explain):
    has = EXPLAIN in card["signatures"]
    if has != (explain is not None):
        told = "has a signature `explain`" if has else "has no signature `explain`"
        raise ValueError(
            f"`explain` must be the function that the export was given, and it {told}, got "
            f"{explain!r}."
        )
    return has


def _add_explanation_differences(differences, expected, served):
    largest = max(answers[EXPLAIN]["heat_range"].max() for answers in expected.values())
    for check in expected:
        differences[f"{check} / {EXPLAIN}"].update(
            explanation_differences(
                expected[check][EXPLAIN], served[check][EXPLAIN], largest=largest
            )
        )


def _task(card):
    """The task, and what its answers depend on besides the model's outputs."""
    task = TASKS[card["task"]]
    return task, task.settings(card.get("threshold"))


def _expected(model, checks, prepared, card, explain=None):
    """The model's own answers, by check and signature."""
    pixels, *frame = (np.concatenate(part) for part in zip(*prepared.values(), strict=True))
    names = tf.constant(card["classes"])
    task, settings = _task(card)
    at_once = _LARGE_AT_ONCE if task.whole or card["task"] == "video" else len(pixels)
    outputs = model.predict(pixels.astype(np.float32), batch_size=at_once, verbose=0)
    answer = task.answer(outputs, lambda ids: tf.gather(names, ids), **settings)
    of_prepared = _divided(answer, prepared)
    if task.whole:
        of_files = _whole_answers(task, model, checks, card)
    elif task.place:
        of_files = _divided(task.place(answer, *frame), prepared)
    else:
        of_files = of_prepared
    expected = {
        check: dict(zip(_SIGNATURES, (of_files[check], of_prepared[check]), strict=True))
        for check in checks
    }
    if explain:
        added = expected_explanation(explain, model, pixels, frame=frame, at_once=_LARGE_AT_ONCE)
        for check, outputs in _divided(added, prepared).items():
            expected[check][EXPLAIN] = {**of_files[check], **outputs}
    return expected


def _divided(answer, prepared):
    """The rows of each check, as text where they are."""
    ends = np.cumsum([len(parts[0]) for parts in prepared.values()])[:-1]
    divided = {check: {} for check in prepared}
    for name, value in answer.items():
        parts = np.split(_as_text(np.asarray(value)), ends)
        for check, part in zip(prepared, parts, strict=True):
            divided[check][name] = part
    return divided


def _whole_answers(task, model, checks, card):
    preparation = Preparation.from_dict(card["preparation"])
    tiling = card.get("tiling") and Tiling.from_dict(card["tiling"])
    answer = tf.function(
        task.whole(model, preparation, tiling), input_signature=[tf.TensorSpec((None,), tf.string)]
    )
    return {
        check: {name: value.numpy() for name, value in answer(tf.constant(encoded)).items()}
        for check, encoded in checks.items()
    }


def _as_text(value):
    return np.char.decode(value.astype(bytes), "utf-8") if value.dtype == object else value


def _judge(differences, refusals):
    """The worst difference, and a sentence about it."""
    for name, message in refusals.items():
        if message is None:
            taken = f"answered a {name}" if name.startswith("clip") else f"took {name} for an image"
            return float("inf"), f"it {taken} instead of refusing it"
    worst, where, output = max(
        (value, where, output)
        for where, values in differences.items()
        for output, value in values.items()
    )
    return worst, f"the largest difference is {worst:.2g}, in {output} of {where}"
