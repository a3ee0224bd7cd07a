"""What each loss of a model is given: which output, which targets, and how it reads them."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np

# Losses that have the softmax inside, beside those that say so themselves.
_ON_LOGITS = ("pixelcrossentropy", "pixelcrossentropydice", "softdice")


@dataclass(frozen=True, eq=False, kw_only=True)
class Head:
    """One output with its loss.

    Args:
        name: Name of the output, or "".
        loss: The loss, a `keras.losses.Loss` or a function.
        kind: "softmax" (one class of K), "sigmoid" (yes or no), "scores" (margins of K
            classes), or "" for what is none of these.
        from_logits: Whether the loss applies the softmax or sigmoid itself.
        sparse: Whether targets are class numbers.
        truth: All targets, NumPy.
        seen: Targets of the examples that were run, NumPy.
        outputs: Outputs for them in training mode, NumPy, float32.
    """

    name: str
    loss: object
    kind: str
    from_logits: bool
    sparse: bool
    truth: np.ndarray
    seen: np.ndarray
    outputs: np.ndarray

    @property
    def num_classes(self):
        """K: how many outputs there are."""
        return self.outputs.shape[-1] if self.outputs.ndim > 1 else 1

    @property
    def ignored(self):
        """The label that does not count, or None."""
        return getattr(self.loss, "ignore_class", None)

    @property
    def place(self):
        """ "The output" or "Output `name`", to begin a sentence with."""
        return f"Output `{self.name}`" if self.name else "The output"

    def labels(self, truth):
        """Targets as class numbers of any shape, flat, the ignored left out; None if not so.

        Args:
            truth: `truth`, `seen`, or a validation set's targets.
        """
        if self.kind not in ("softmax", "scores"):
            return None
        if not self.sparse:
            one_hot = truth.ndim == self.outputs.ndim and truth.shape[-1] == self.num_classes
            return truth.argmax(-1).ravel() if one_hot else None
        labels = np.asarray(truth).ravel()
        return labels if self.ignored is None else labels[labels != self.ignored]

    def value(self, outputs):
        """The loss of other outputs for the examples that were run.

        Args:
            outputs: Of the shape of `outputs`.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of a second softmax; so do we
            found = self.loss(self.seen, keras.ops.convert_to_tensor(outputs))
        return float(np.mean(keras.ops.convert_to_numpy(found)))


def heads_of(model, truth, seen, outputs):
    """The heads of a compiled model.

    Args:
        model: The model.
        truth: All targets.
        seen: Targets of the examples that were run.
        outputs: The model's outputs for them.

    Returns:
        List of `Head`; empty if the model has no loss that Keras knows of.
    """
    if truth is None:
        return []
    heads = []
    for path, loss in _losses(model):
        parts = [_at(structure, path) for structure in (truth, seen, outputs)]
        if all(isinstance(part, np.ndarray) for part in parts):
            heads.append(_head(".".join(map(str, path)), loss, *parts))
    return heads


def _losses(model):
    """(path in the outputs, loss) of each compiled loss."""
    # Built by the first loss that was computed, even if that failed.
    compiled = getattr(model, "_compile_loss", None)
    found = getattr(compiled, "_flat_losses", None)
    if found:
        return [(tuple(one.path), one.loss) for one in found]
    loss = getattr(model, "loss", None)
    single = isinstance(loss, str | keras.losses.Loss) or callable(loss)
    return [((), keras.losses.get(loss))] if single else []


def _at(structure, path):
    for key in path:
        try:
            structure = structure[key]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(structure, list | tuple) and len(structure) == 1:
        return structure[0]
    return structure


def _head(name, loss, truth, seen, outputs):
    function = getattr(loss, "fn", loss)  # Keras wraps functions, and calls them `fn`
    options = getattr(function, "keywords", {})
    function = getattr(function, "func", function)  # of functools.partial
    called = getattr(function, "__name__", type(function).__name__).lower().replace("_", "")
    from_logits = getattr(loss, "from_logits", options.get("from_logits", False))
    kind, sparse = "", False
    if called in _ON_LOGITS:
        kind, sparse, from_logits = "softmax", seen.shape != outputs.shape, True
    elif called.startswith(("sparsecategorical", "categoricalcross", "categoricalfocal")):
        kind, sparse = "softmax", called.startswith("sparse")
    elif called.startswith("binary"):
        kind = "sigmoid"
    elif called == "multiclasshinge":
        kind, sparse, from_logits = "scores", seen.shape != outputs.shape, True
    return Head(
        name=name,
        loss=loss,
        kind=kind,
        from_logits=bool(from_logits),
        sparse=sparse,
        truth=truth,
        seen=seen,
        outputs=outputs.astype("float32"),
    )
