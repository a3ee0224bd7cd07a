"""Rules over inputs."""

import numpy as np
from keras import tree

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.looked import to_numpy

# The input of the first layer with weights: standardised pixels have deviation 1, pixels from
# 0 to 1 one of 0.2 to 0.4, raw ones of 0 to 255 one of 40 to 80, of 0 to 16 one of 6.
LARGEST_INPUT = 4.0
# Pixels divided by 255 twice have a deviation near 0.001.
SMALLEST_DEVIATION = 0.02
# How far a validation set's mean may be off, in deviations of the training set, and how many
# times larger or smaller its deviation. Samples of the same images differ by far less.
LARGEST_SHIFT = 3.0
LARGEST_RATIO = 5.0


def inputs_not_normalised(looked):
    """Inputs of a scale that the initial weights are not made for.

    Initial weights keep a variance of about 1. What is looked at is what reaches the first
    layer with weights, as models may normalise inside. Evidence: its mean, deviation and
    range. Thresholds: the four constants above, from the usual ways to scale pixels.
    """
    for leaf in tree.flatten(looked.x):
        if leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
            count = int((~np.isfinite(leaf)).sum())
            return _input_finding(
                "error",
                f"{count} of the {leaf.size} numbers in `x` are not finite.",
                {"not_finite": count},
            )
    first = next(iter(looked.kernel_calls), None)
    if first is None or not first.inputs:
        return None
    values = _as_floats(first.inputs[0])
    if values is None or not _comes_from_inputs(first):
        return None
    # Channel by channel: what is the same everywhere in a channel carries no signal.
    rows = values.reshape(-1, values.shape[-1])
    deviation = float(np.sqrt(rows.var(0).mean())) if len(rows) > 1 else float(values.std())
    mean = float(values.mean())
    evidence = {
        "layer": first.name,
        "mean": mean,
        "deviation": deviation,
        "lowest": float(values.min()),
        "highest": float(values.max()),
    }
    numbers = (
        f"mean {mean:.3g}, deviation {deviation:.3g}, "
        f"{evidence['lowest']:.3g} to {evidence['highest']:.3g}"
    )
    if deviation == 0 and values.size > 1:
        return _input_finding("error", f"All inputs of `{first.name}` are {mean:.3g}.", evidence)
    if deviation < SMALLEST_DEVIATION:
        text = f"Inputs of `{first.name}` hardly differ ({numbers}): scaled twice?"
        return _input_finding("warning", text, evidence)
    if np.sqrt(mean**2 + deviation**2) > LARGEST_INPUT:
        # Around zero and with a normalisation behind (BGR minus the mean, into a ResNet) the
        # scale is lost at once.
        lost = abs(mean) < 0.5 * deviation and _normalised_next(first)
        text = f"Inputs of `{first.name}` are not normalised ({numbers})."
        return _input_finding("hint" if lost else "warning", text, evidence)
    return _validation_shift(looked)


def _input_finding(severity, message, evidence):
    return Finding(
        rule="inputs_not_normalised",
        severity=severity,
        message=message,
        evidence=evidence,
        advice="Subtract the training set's mean and divide by its deviation, once, and the same "
        "way in training, validation and use; best inside the model.",
    )


def _as_floats(tensor):
    values = to_numpy(tensor)
    return values.astype("float32") if values.dtype.kind in "fiu" else None


def _comes_from_inputs(call):
    """Whether nothing with an embedding's table stands before it."""
    waiting, seen = list(call.parents), set()
    while waiting:
        parent = waiting.pop()
        if id(parent) in seen:
            continue
        seen.add(id(parent))
        if hasattr(parent.layer, "embeddings"):
            return False
        waiting.extend(parent.parents)
    return True


def _normalised_next(call):
    following = call.following(lambda other: other.normalises or other.kernel is not None)
    return bool(following) and all(other.normalises for other in following)


def _validation_shift(looked):
    """Validation inputs of another scale than the training's."""
    if looked.validation is None:
        return None
    ours, theirs = tree.flatten(looked.x), tree.flatten(looked.validation[0])
    for train, other in zip(ours, theirs, strict=False):
        if train.dtype.kind not in "fiu" or train.shape[1:] != other.shape[1:] or not other.size:
            continue
        mean, deviation = float(train.mean()), float(train.std())
        its_mean, its_deviation = float(other.mean()), float(other.std())
        ratio = its_deviation / deviation if deviation else 1.0
        shifted = abs(its_mean - mean) > LARGEST_SHIFT * max(deviation, its_deviation)
        if shifted or not 1 / LARGEST_RATIO < ratio < LARGEST_RATIO:
            return _input_finding(
                "warning",
                f"Validation inputs are scaled unlike the training's (mean {its_mean:.3g} and "
                f"deviation {its_deviation:.3g}, against {mean:.3g} and {deviation:.3g}).",
                {
                    "mean": mean,
                    "deviation": deviation,
                    "validation_mean": its_mean,
                    "validation_deviation": its_deviation,
                },
            )
    return None
