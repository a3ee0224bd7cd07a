"""Rules over labels."""

import numpy as np

from kerakit.diagnose.finding import Finding

# A bias at zero costs `log(K) - entropy` nats until it is learned. From 0.2 on (two classes as
# 4 to 1) it shows in the first epoch; where one class has 95 % the rest hardly moves the loss
# (Lin et al., Focal Loss for Dense Object Detection, 2017, section 3.3).
NATS_TO_LEARN = 0.2
MOST_OF_ONE_CLASS = 0.95
# Fewer labels say nothing about the balance.
LEAST_LABELS = 50
# One-hot rows and smoothed ones sum to 1 but for rounding.
SUM_TOLERANCE = 1e-3

_LABEL_ADVICE = (
    "Number the classes 0 to K - 1 and give the last layer K outputs; the loss of a label beyond "
    "is NaN, an error, or a wrong number that looks right."
)


def labels_out_of_range(looked):
    """Labels that the loss cannot read.

    A class number must be in [0, K), a one-hot row sum to 1, a yes-or-no target lie in [0, 1].
    Backends differ in what they do with others: an error, NaN, or silently a loss of 0.
    Evidence: the range of the labels and how many are outside. No threshold.
    """
    for head in looked.heads:
        truths = {"": head.truth, "validation ": _at_head(looked.validation, head, looked)}
        for which, truth in truths.items():
            fault = _fault(head, truth, which, looked.num_classes) if truth is not None else None
            if fault:
                message, evidence = fault
                return Finding(
                    rule="labels_out_of_range",
                    severity="error",
                    message=message,
                    evidence=evidence,
                    advice=_LABEL_ADVICE,
                )
    return _box_labels(looked)


def final_bias_ignores_balance(looked):
    """The first predictions do not follow how frequent the classes are.

    With a bias of 0 every class starts at 1/K, and the first steps only learn the frequencies;
    with rare positives these steps are rough (Lin et al., 2017, section 3.3). Evidence: the
    share of the largest class, and the divergence of the predictions from the frequencies in
    nats. Thresholds: `NATS_TO_LEARN`, `MOST_OF_ONE_CLASS`.
    """
    if looked.is_trained:
        return None
    for head in looked.heads:
        shares, predicted = _balance(head)
        if shares is None:
            continue
        largest = int(shares.argmax())
        # What an even start costs, and what this start does; each part is at least 0.
        even = np.log(len(shares)) + np.sum(shares * np.log(shares + 1e-12))
        nats = float(np.sum(shares * np.log((shares + 1e-12) / (predicted + 1e-12))))
        if min(even, nats) < NATS_TO_LEARN:
            continue
        # A pixel's class is mostly background; that is no fault of a segmentation.
        one_label = (
            head.truth.ndim == 1 or head.truth.shape[0] == head.truth.size or not head.sparse
        )
        extreme = one_label and shares[largest] >= MOST_OF_ONE_CLASS
        bias = "log(p / (1 - p))" if head.kind == "sigmoid" else "log(p_k)"
        return Finding(
            rule="final_bias_ignores_balance",
            severity="warning" if extreme else "hint",
            message=f"Class {largest} has {shares[largest]:.0%} of the labels, and the first "
            f"predictions give it {predicted[largest]:.0%}: {nats:.2f} nats to learn.",
            evidence={
                "largest_class": largest,
                "share": float(shares[largest]),
                "predicted": float(predicted[largest]),
                "nats": nats,
            },
            advice=f"Start the final bias at {bias} of the frequencies; weigh the classes or "
            "sample them evenly if the rare ones matter.",
        )
    return None


def _fault(head, truth, which, num_classes):
    """(message, evidence) of what is wrong with the targets, or None."""
    values = np.asarray(truth)
    if values.dtype.kind not in "fiub":
        return None
    what = f"{which}labels"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        return f"{count} of {values.size} {what} are not finite.", {"count": count}
    if head.kind == "sigmoid":
        return _outside(values, 0, 1, what, "a yes-or-no loss reads 0 to 1")
    if head.kind not in ("softmax", "scores"):
        return None
    classes = head.num_classes
    if not head.sparse:
        if values.ndim != head.outputs.ndim or values.shape[-1] != classes:
            text = f"The {what} have shape {values.shape[1:]} an example, the loss wants one-hot"
            return f"{text} rows of {classes}.", {"classes": classes}
        fault = _outside(values, 0, 1, what, "one-hot rows have 0 to 1")
        wrong = int((np.abs(values.sum(-1) - 1.0) > SUM_TOLERANCE).sum())
        if fault or not wrong:
            return fault
        rows = values[..., 0].size
        return f"{wrong} of {rows} rows of the {what} do not sum to 1.", {"count": wrong}
    if values.shape[1:] == head.outputs.shape[1:] and classes > 1:
        text = f"The {what} are rows of {classes}, the loss wants class numbers."
        return text, {"classes": classes}
    labels = head.labels(values)
    if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
        count = int((labels != np.round(labels)).sum())
        return f"{count} of {labels.size} {what} are no whole numbers.", {"count": count}
    fault = _outside(labels, 0, classes - 1, what, f"the model has {classes} classes")
    if fault is None and num_classes is not None and classes < num_classes:
        text = f"There are {num_classes} classes, and the model has {classes} outputs."
        return text, {"classes": num_classes, "outputs": classes}
    return fault


def _outside(values, lowest, highest, what, why):
    outside = (values < lowest) | (values > highest)
    if not outside.any():
        return None
    low, high = float(values.min()), float(values.max())
    evidence = {"lowest": low, "highest": high, "allowed_highest": highest}
    evidence["count"] = int(outside.sum())
    text = f"{evidence['count']} of {values.size} {what} lie outside {lowest} to {highest}"
    return f"{text} (they go from {low:g} to {high:g}; {why}).", evidence


def _box_labels(looked):
    """The labels of a detector's targets, which it reads itself."""
    classes = getattr(looked.model, "num_classes", None)
    if not isinstance(looked.y, dict) or not isinstance(classes, int):
        return None
    labels, boxes = looked.y.get("labels"), looked.y.get("boxes")
    if not isinstance(labels, np.ndarray) or not isinstance(boxes, np.ndarray):
        return None
    fault = _outside(labels, -1, classes - 1, "labels", f"{classes} classes, -1 is padding")
    if fault is None and boxes.shape[:-1] == labels.shape and boxes.shape[-1] == 4:
        real = boxes[labels >= 0]
        wrong = int((~(real[:, 2:] > real[:, :2]).all(-1)).sum())
        if wrong:
            text = f"{wrong} of {len(real)} boxes are empty or not x1, y1, x2, y2."
            fault = text, {"count": wrong}
    if fault is None:
        return None
    return Finding(
        rule="labels_out_of_range",
        severity="error",
        message=fault[0],
        evidence=fault[1],
        advice=_LABEL_ADVICE,
    )


def _at_head(validation, head, looked):
    """The validation's targets for this head; only of models with one."""
    if validation is None or len(validation) < 2 or len(looked.heads) != 1:
        return None
    truth = validation[1]
    fits = isinstance(truth, np.ndarray) and truth.ndim == head.truth.ndim
    return truth if fits else None


def _balance(head):
    """Shares of the classes in the labels and in the first predictions, or (None, None)."""
    outputs = head.outputs
    if not np.isfinite(outputs).all():
        return None, None
    if head.kind == "sigmoid":
        if head.num_classes != 1 or head.truth.size < LEAST_LABELS:
            return None, None
        positive = float(np.clip(head.truth, 0, 1).mean())
        scores = 1 / (1 + np.exp(-outputs)) if head.from_logits else outputs
        predicted = float(np.clip(scores, 0, 1).mean())
        return np.array([1 - positive, positive]), np.array([1 - predicted, predicted])
    labels = head.labels(head.truth) if head.kind == "softmax" else None
    classes = head.num_classes
    if labels is None or labels.size < max(LEAST_LABELS, 5 * classes) or classes < 2:
        return None, None
    if (labels < 0).any() or (labels >= classes).any():
        return None, None
    shares = np.bincount(labels.astype(int), minlength=classes) / labels.size
    scores = outputs
    if head.from_logits:
        scores = np.exp(outputs - outputs.max(-1, keepdims=True))
    scores = np.clip(scores, 0, None)
    scores = scores / np.maximum(scores.sum(-1, keepdims=True), 1e-12)
    return shares, scores.reshape(-1, classes).mean(0)
