"""A classifier's answers to the validation images, judged: for one label an image or several."""

import keras
import numpy as np

from kerakit.extras import need
from kerakit.metrics import ConfusionMatrix
from kerakit.metrics.multi_label_figures import multi_label_figures

_SHOWN = 10  # classes whose curves are drawn


class OneLabel:
    """Judges answers to images with one label each.

    Args:
        labels: (N,) int classes.
        logits: (N, K).
        classes: K names.

    Attributes:
        metrics: Dict of floats, the loss among them.
        by_class: List of a dict a class, for the report.
        headline: Name of the figure to tell first.
        picture: File name of the picture that `plot` draws.
        right: (N,) bool, whether an answer is right.
    """

    headline, picture, by_class = "accuracy", "confusion.png", ()

    def __init__(self, labels, logits, classes):
        self.labels, self.classes = labels, classes
        self.probabilities = np.asarray(keras.ops.softmax(logits))
        self.answers = self.probabilities.argmax(axis=-1)
        self.right = self.answers == labels
        self.matrix = ConfusionMatrix(len(classes), classes=classes, averages=("macro",))
        self.matrix.update_state(labels, logits)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.metrics = {
            "loss": float(loss(labels, logits)),
            **{name: float(value) for name, value in self.matrix.result().items()},
        }

    def title(self, number):
        """The answer to an image, and what would have been right."""
        answer = self.answers[number]
        title = f"{self.classes[answer]} {self.probabilities[number].max():.0%}"
        truth = "" if self.right[number] else f"\nis {self.classes[self.labels[number]]}"
        return title + truth

    def plot(self, path):
        """Draws the confusion matrix."""
        self.matrix.plot(path)


class SeveralLabels:
    """Judges answers to images with any number of labels, as `OneLabel`.

    Args:
        labels: (N, K) float, 1 for the classes that an image has.
        logits: (N, K).
        classes: K names.
        threshold: Probability from which on a class is named.
    """

    headline, picture = "mean_average_precision", "precision_recall.png"

    def __init__(self, labels, logits, classes, *, threshold):
        self.labels, self.logits, self.classes = labels.astype(bool), logits, classes
        self.named = np.asarray(keras.ops.sigmoid(logits)) >= threshold
        self.right = np.all(self.labels == self.named, axis=1)
        figures, columns = multi_label_figures(labels, logits, self.named)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.metrics = {"loss": float(loss(labels, logits)), **figures}
        columns = {name: values.tolist() for name, values in columns.items()}
        self.by_class = [
            dict(zip(("class", *columns), row, strict=True))
            for row in zip(classes, *columns.values(), strict=True)
        ]
        for row in self.by_class:
            if not row["images"]:  # NaN, which JSON has not
                row["average_precision"] = row["recall"] = None

    def title(self, number):
        """The classes named, and those that were missed or are not there."""
        labels, named = self.labels[number], self.named[number]
        lines = [self._names(named) or "none"]
        lines += [f"lacks {missed}"] if (missed := self._names(labels & ~named)) else []
        lines += [f"has no {wrong}"] if (wrong := self._names(named & ~labels)) else []
        return "\n".join(lines)

    def _names(self, chosen):
        names = [self.classes[k] for k in np.flatnonzero(chosen)]
        return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")

    def plot(self, path):
        """Draws precision over recall, of the classes that most images have."""
        figure_module = need("matplotlib.figure", extra="plot")
        figure = figure_module.Figure(figsize=(6.4, 4.8), layout="constrained")
        axes = figure.add_subplot()
        images = self.labels.sum(axis=0)
        for k in np.argsort(-images, kind="stable")[:_SHOWN]:
            if images[k]:
                hits = self.labels[np.argsort(-self.logits[:, k], kind="stable"), k].cumsum()
                label = f"{self.classes[k]} {self.by_class[k]['average_precision']:.3f}"
                axes.step(hits / images[k], hits / np.arange(1, len(hits) + 1), label=label)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.set_ylim(0.0, 1.05)
        axes.grid(alpha=0.3)
        axes.legend(title="average precision")
        figure.savefig(path, dpi=100)
