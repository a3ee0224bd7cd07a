"""Rules over the outputs and the first loss."""

import numpy as np

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.looked import to_numpy

# Rows of a softmax sum to 1 but for rounding, in float16 to 3e-3.
SUM_TOLERANCE = 5e-3
# The loss of outputs that say nothing is log(K) for K classes. Healthy starts (He's in a net
# without normalisation, outputs of deviation 1 to 2) were measured at up to 1.9 times as much,
# 2.5 in a narrow vgg16_bn.
LARGEST_FIRST_LOSS = 3.0
# Below half of it the model already knows the answers.
SMALLEST_FIRST_LOSS = 0.5


def double_softmax(looked):
    """A softmax (or sigmoid) too many, or one that is missing.

    A loss with `from_logits=True` applies it itself; applied to probabilities, differences
    between classes shrink to at most 1 and the gradient with them. A loss on probabilities
    given logits takes the logarithm of negative numbers. Evidence: the outputs' range and the
    sum of a row. No threshold but rounding.
    """
    for head in looked.heads:
        if head.kind not in ("softmax", "sigmoid") or not np.isfinite(head.outputs).all():
            continue
        text = _misread(looked, head)
        if text:
            rows = head.outputs.sum(-1) if head.outputs.ndim > 1 else head.outputs
            return Finding(
                rule="double_softmax",
                severity="error",
                message=text,
                evidence={
                    "from_logits": head.from_logits,
                    "lowest": float(head.outputs.min()),
                    "highest": float(head.outputs.max()),
                    "mean_row_sum": float(rows.mean()),
                },
                advice="End the model in logits, with no activation, and give the loss "
                "from_logits=True; apply the softmax once more for nothing but reading.",
            )
    return None


def first_loss_unexpected(looked):
    """A first loss far from that of outputs which say nothing, `log(K)` for K classes.

    Above it the outputs are too large (scale of weights or inputs); far below it the model
    already knows the answers, because it is trained or the labels leak. Evidence: both losses.
    Thresholds: `LARGEST_FIRST_LOSS`, `SMALLEST_FIRST_LOSS`.
    """
    if looked.loss is not None and not np.isfinite(looked.loss):
        return _loss_finding("error", f"The first loss is {looked.loss}.", {"loss": looked.loss})
    for head in looked.heads:
        if head.kind == "softmax" and head.num_classes == 1:
            text = f"{head.place} has one unit, and a softmax over one unit is always 1."
            return _loss_finding("error", text, {"outputs": 1})
        if head.kind not in ("softmax", "sigmoid"):
            continue
        even = 0.0 if head.from_logits else (1 / head.num_classes, 0.5)[head.kind == "sigmoid"]
        try:
            loss = head.value(head.outputs)
            expected = head.value(np.full_like(head.outputs, even))
        except Exception:  # labels that do not fit; their own rule says so
            continue
        if not np.isfinite([loss, expected]).all() or expected <= 0:
            continue
        numbers = {"loss": loss, "expected": expected, "classes": head.num_classes}
        name = f"log({head.num_classes}) = " if head.kind == "softmax" else ""
        summed = _summed(head, expected)
        if summed:
            text = f"The loss of outputs that say nothing is {expected:.3g}, where {name}"
            text += f"{np.log(head.num_classes):.3g} is due: it is a sum over the batch?"
            return _loss_finding("warning", text, numbers | {"factor": summed})
        if loss > LARGEST_FIRST_LOSS * expected:
            text = f"The first loss is {loss:.3g}, where outputs that say nothing have "
            text += f"{name}{expected:.3g}."
            # A new layer on a body that is trained and frozen mends it in its first steps.
            frozen = any(not call.kernel.trainable for call in looked.kernel_calls)
            return _loss_finding("hint" if frozen else "warning", text, numbers)
        if loss < SMALLEST_FIRST_LOSS * min(expected, _entropy(head)) and not looked.is_trained:
            text = f"The first loss is {loss:.3g}, below the {name}{expected:.3g} of outputs that "
            text += "say nothing: the model is trained, or its inputs tell the labels."
            return _loss_finding("hint", text, numbers)
    return None


def _misread(looked, head):
    """Sentence on what is wrong with how the loss reads the outputs, or None."""
    outputs, softmax = head.outputs, head.kind == "softmax"
    if softmax and head.num_classes == 1:
        return None
    within = outputs.min() >= 0 and outputs.max() <= 1 + SUM_TOLERANCE
    sums_to_1 = np.abs(outputs.sum(-1) - 1).max() < SUM_TOLERANCE if outputs.ndim > 1 else False
    probabilities = within and (sums_to_1 if softmax else _ends_in_sigmoid(looked, head))
    called = head.kind
    if head.from_logits and probabilities:
        return f"{head.place} is a {called} already, and the loss applies another (from_logits)."
    if not head.from_logits and not (within and (sums_to_1 or not softmax)):
        return (
            f"{head.place} is no {called} ({outputs.min():.3g} to {outputs.max():.3g}), and the "
            "loss expects one (from_logits=False)."
        )
    for call in looked.calls:
        if softmax and call.activation == "softmax" and call.kernel is None and not call.children:
            given = to_numpy(call.inputs[0])
            row_sums = np.abs(given.sum(-1) - 1)
            if given.min() >= 0 and row_sums.max() < SUM_TOLERANCE:
                return f"`{call.name}` applies a softmax to what is a softmax already."
    return None


def _ends_in_sigmoid(looked, head):
    # Zero to one alone does not say so: outputs of a few logits may lie there by chance.
    last = [call for call in looked.calls if to_numpy(call.output).shape == head.outputs.shape]
    return bool(last) and last[-1].activation in ("sigmoid", "hard_sigmoid")


def _summed(head, expected):
    """How many times too large Keras's cross-entropy is where outputs say nothing, or None."""
    keras_loss = head.kind == "softmax" and hasattr(head.loss, "fn")
    factor = expected / np.log(head.num_classes) if keras_loss else 1.0
    return float(factor) if factor > LARGEST_FIRST_LOSS else None


def _entropy(head):
    """Loss of a model that knows the classes' frequencies alone, in nats; infinite if unknown."""
    labels = head.labels(head.seen)
    if labels is None or not labels.size:
        return np.inf
    shares = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(shares * np.log(shares)).sum())


def _loss_finding(severity, text, evidence):
    return Finding(
        rule="first_loss_unexpected",
        severity=severity,
        message=text,
        evidence=evidence,
        advice="Check labels and loss; scale the inputs; start the last layer small (deviation "
        "0.01), so that the first loss is log(K).",
    )
