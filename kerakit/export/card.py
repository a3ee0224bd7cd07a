"""`card.json`: what an export is, where it comes from, and how to call it."""

import datetime as dt
import json
import math
import platform
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kerakit
from kerakit.atomic import replaced
from kerakit.cost import report
from kerakit.errors import InputError
from kerakit.export.placeless import placeless

CARD = "card.json"
# What is read again from a card.
READ = ("task", "classes", "preparation", "verification")
# What only the one who trained the model knows.
GIVEN = ("recipe", "command", "config", "data", "metrics", "licence")


def make_card(
    model, *, task, signatures, classes, given_as, threshold, tiling, folded, warmup_requests,
    given,
):  # fmt: skip
    """The card of an export.

    Args:
        model: The Keras model.
        task: Name of the task.
        signatures: Inputs and outputs of each signature.
        classes: Names of the classes.
        given_as: `Images` or `Clips`, which the model is given.
        threshold: Probability from which on a class is named, or None.
        tiling: The `Tiling` of large images, or None.
        folded: Whether norms were folded into the layers before them.
        warmup_requests: How many were written for TensorFlow Serving.
        given: Dict of values for names in `GIVEN`, or None; what it leaves out is null. Files and
            folders of this machine are called by their own names alone, without their place.

    Returns:
        A dict that JSON can hold.

    Raises:
        ValueError: If `given` has another name.
    """
    given = given or {}
    unknown = sorted(set(given) - set(GIVEN))
    if unknown:
        raise ValueError(
            f"`card` may hold {', '.join(GIVEN)}, got {', '.join(map(repr, unknown))} too."
        )
    sampling = getattr(given_as, "sampling", None)
    return {
        "name": model.name,
        "task": task,
        **{name: placeless(_plain(given.get(name))) for name in GIVEN},
        "classes": list(classes),
        "preparation": given_as.preparation.to_dict(),
        "sampling": sampling and sampling.to_dict(),
        "frame_rate": getattr(given_as, "frame_rate", None),
        "threshold": threshold,
        "tiling": tiling and tiling.to_dict(),
        "folded": folded,
        "signatures": signatures,
        "cost": report(model, given_as.shape).totals(),
        "warmup_requests": warmup_requests,
        "versions": {
            "python": platform.python_version(),
            "kerakit": kerakit.__version__,
            **{module.__name__: module.__version__ for module in (keras, tf, np)},
        },
        "date": now(),
        "verification": None,
    }


def now():
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def write_card(folder, card):
    """Writes a card, replacing one that is there in one step."""
    text = json.dumps(_plain(card), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replaced(Path(folder) / CARD) as file:
        file.write_text(text, encoding="utf-8")


def read_card(folder):
    """The card of a SavedModel's folder.

    Raises:
        InputError: If there is none that can be read.
    """
    path = Path(folder) / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if missing := [key for key in READ if key not in card]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return card
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no {CARD}, so it was not written by kerakit.export.save; "
            "only such a SavedModel can be read here."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); export the model again.") from error


def _plain(value):
    """As JSON can hold it: numbers of NumPy as Python's, paths as text, no infinity or NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Path):
        return value.as_posix()
    return None if isinstance(value, float) and not math.isfinite(value) else value
