"""Does an export answer as the model that it came from?"""

import base64
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerakit.data import Preparation
from kerakit.export.answers import TASKS
from kerakit.export.card import now, read_card, write_card
from kerakit.export.folder import version_folder
from kerakit.export.refusal import reason
from kerakit.export.requests import asked_by
from kerakit.export.tiling import Tiling

TOLERANCE = 1e-5
# A norm folded into the layer before it rounds the layer's weights anew: by that, an export of
# MobileNetV2 with its published weights differs from the model by 3e-5 of the largest logit.
FOLDED_TOLERANCE = 1e-4
BATCHES = (1, 3, 17)
# Maps of all layers for all images, or clips, at once would not fit into the memory.
_LARGE_AT_ONCE = 8
_SIGNATURES = ("serving_default", "tensors")
_SCRIPT = Path(__file__).with_name("fresh_process.py")


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


def verify(directory, model, *, images=None):
    """Compares a SavedModel, in a fresh process, with the model that it came from.

    The process imports TensorFlow and NumPy; imports of kerakit and of Keras fail in it. It
    answers batches of 1, 3 and 17 encoded images (JPEG and PNG, grey and colour, with and
    without alpha, odd sizes), an image of 1 x 1 pixel, an all-black one and the `images`
    given, each through both signatures. Expected is what `model.predict` gives for the same
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

    Returns:
        A `Verification`.

    Raises:
        VerificationError: If an answer differs by more than 1e-5, or 1e-4 where norms were
            folded into the layers before them (logits: relative to the largest; boxes: to the
            largest coordinate; masks of objects: the mean over a mask's cells), or a broken file
            is not refused with a clear error.
        InputError: If the directory holds no export of kerakit's.
    """
    start = time.monotonic()
    folder = version_folder(directory)
    card = read_card(folder)
    task, settings = _task(card)
    tolerance = FOLDED_TOLERANCE if card.get("folded") else TOLERANCE
    asked, images = asked_by(card), list(images or ())
    asked.check(images)
    checks = _checks(images, asked, in_tiles=bool(card.get("tiling")))
    prepared = {
        check: [part.numpy() for part in asked.prepare(tf.constant(encoded))]
        for check, encoded in checks.items()
    }
    pixels = {check: parts[0] for check, parts in prepared.items()}
    expected = _expected(model, checks, prepared, card)
    try:
        served, refusals = _ask_fresh_process(folder, checks, pixels, asked)
    except _ProcessFailed as failure:
        differences, refusals = {}, {}
        worst, finding = float("inf"), f"it cannot be run by TensorFlow alone: {failure}"
    else:
        differences = {
            f"{check} / {signature}": task.differences(
                expected[check][signature], served[check][signature], **settings
            )
            for check in checks
            for signature in _SIGNATURES
        }
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


def _task(card):
    """The task, and what its answers depend on besides the model's outputs."""
    task = TASKS[card["task"]]
    return task, task.settings(card.get("threshold"))


def _checks(given, asked, *, in_tiles=False):
    """Encoded images, or clips of encoded frames, for each check, by its name.

    With `in_tiles` there is one that is larger than the model's input.
    """
    draw = np.random.default_rng(0)
    one, frames = asked.one, asked.shape[0] if asked.one == "clip" else 0

    def image(height, width, channels):
        return draw.integers(0, 256, (height, width, channels), dtype=np.uint8)

    def encode(index, height, width):
        if index % 2:
            return tf.io.encode_png(image(height, width, (3, 1, 4)[index // 2 % 3])).numpy()
        return tf.io.encode_jpeg(image(height, width, (3, 1)[index // 2 % 2])).numpy()

    def example(make):
        return [make(number) for number in range(frames)] if frames else make(0)

    many = [
        example(lambda frame, i=i: encode(i + frame, *draw.integers(3, 97, 2)))
        for i in range(max(BATCHES))
    ]
    checks = {f"{size} {one}{'s' if size > 1 else ''}": many[:size] for size in BATCHES}
    checks[f"1 x 1 {one}"] = [example(lambda _: tf.io.encode_png(image(1, 1, 3)).numpy())]
    black = tf.io.encode_jpeg(np.zeros((33, 21, 3), np.uint8)).numpy()
    checks[f"black {one}"] = [example(lambda _: black)]
    if in_tiles:
        height, width = asked.shape[:2]
        large = image(height * 2 - 5, width + 3, 3)
        checks["image of several tiles"] = [tf.io.encode_png(large).numpy()]
    for first in range(0, len(given), max(BATCHES)):
        checks[f"given {one}s from {first}"] = given[first : first + max(BATCHES)]
    return checks


def _broken(asked):
    jpeg = tf.io.encode_jpeg(np.zeros((32, 32, 3), np.uint8)).numpy()
    files = {"empty file": b"", "text": b"This is no image.", "half a JPEG": jpeg[: len(jpeg) // 2]}
    if asked.one == "image":
        return files
    frames = asked.shape[0]
    clips = {f"clip with one {name}": [jpeg] * (frames - 1) + [f] for name, f in files.items()}
    return {**clips, "clip with a frame too many": [jpeg] * (frames + 1)}


def _expected(model, checks, prepared, card):
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
    return {
        check: dict(zip(_SIGNATURES, (of_files[check], of_prepared[check]), strict=True))
        for check in checks
    }


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


class _ProcessFailed(Exception):
    """The fresh process ended with an error; the message says which."""


def _ask_fresh_process(savedmodel, checks, pixels, asked):
    """Answers by check, signature and output, and the errors for broken images."""
    told = {
        "checks": {check: _base64(images) for check, images in checks.items()},
        "refused": {name: _base64(image) for name, image in _broken(asked).items()},
        "inputs": dict(zip(_SIGNATURES, (asked.encoded, asked.pixels), strict=True)),
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "asked.json").write_text(json.dumps(told))
        np.savez(folder / "pixels.npz", **pixels)
        process = subprocess.run(
            # -I: neither this folder nor PYTHONPATH leads to kerakit.
            [sys.executable, "-I", _SCRIPT, savedmodel.resolve(), folder],
            cwd=folder,
            # Where there is a GPU, its memory is already this process's.
            env={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            # The exception's own line: what follows it, if anything, is advice.
            errors = re.findall(r"^[\w.]+Error: .+$", process.stderr, re.MULTILINE)
            raise _ProcessFailed(errors[-1] if errors else f"exit code {process.returncode}")
        with np.load(folder / "answers.npz") as file:
            answers = dict(file)
        refusals = json.loads((folder / "refusals.json").read_text())
    served = {check: {signature: {} for signature in _SIGNATURES} for check in checks}
    for key, value in answers.items():
        check, signature, output = key.split("/")
        served[check][signature][output] = value
    return served, {name: message and reason(message) for name, message in refusals.items()}


def _base64(data):
    if isinstance(data, list):
        return [_base64(one) for one in data]
    return base64.b64encode(data).decode("ascii")


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
