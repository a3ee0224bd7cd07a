"""What was seen of a training: looks at the model every so many steps, and its epochs."""

import csv
import math
import pathlib
from dataclasses import dataclass, field

import numpy as np

from kerakit.atomic import replaced


@dataclass(frozen=True)
class Look:
    """Figures of one moment of a training.

    Args:
        step: Steps that were made before it.
        model: Dict of figures of the whole model: `loss` (mean of the batches since the look
            before), `highest_loss` (of those), `learning_rate`, `chance` (the loss of a model
            that knows nothing), and of the probe batch `probe_loss`, `inference_loss` (with
            moving statistics) and `gradient_norm`. What was not seen is missing.
        layers: Dict of a layer's path to a dict of its figures: `gradient_norm` and
            `weight_norm` of its kernel, `update_ratio` (norm of one step's change over that of
            the kernel), `dead_share` (of its units, 0 for all of the probe batch),
            `values_a_unit` (from how many that was judged), `momentum`, `mean_drift` (in
            deviations) and `variance_drift` (logarithm) of moving statistics against the batch's.
    """

    step: int
    model: dict = field(default_factory=dict)
    layers: dict = field(default_factory=dict)

    def of(self, figure):
        """Dict of a layer to one figure, of the layers that have it, in the model's order.

        Args:
            figure: Its name.
        """
        return {name: row[figure] for name, row in self.layers.items() if figure in row}

    def rows(self):
        """Flat dicts, the model's first, under the layer ""."""
        named = [("", self.model), *self.layers.items()]
        return [{"step": self.step, "layer": name, **figures} for name, figures in named]


@dataclass(frozen=True)
class Watched:
    """A training as it was seen.

    Args:
        looks: Each `Look`, in the order of their steps; none if only the epochs are known.
        epochs: Dicts of the figures of each epoch: `loss`, `val_loss`, ...
    """

    looks: tuple[Look, ...] = ()
    epochs: tuple[dict, ...] = ()

    @property
    def first_loss(self):
        """The loss before the first step, where it was seen, or that of the first epoch."""
        first = self.figures("loss")[:1] if self.looks and self.looks[0].step == 0 else []
        return first[0] if first else next(iter(self.curve("loss")), None)

    @property
    def chance(self):
        """The loss of a model that knows nothing, or None."""
        return next(iter(self.figures("chance")), None)

    @property
    def steps(self):
        """Steps that were made up to the last look."""
        return self.looks[-1].step if self.looks else 0

    @property
    def last_loss(self):
        """Loss of the last epoch, or of the last batches in a training without a whole one."""
        return next(iter((self.figures("loss")[-1:] + self.curve("loss")[-1:])[::-1]), None)

    @property
    def lowest_loss(self):
        """The smallest loss of an epoch, or of batches where there was no whole epoch."""
        losses = self.curve("loss") or self.figures("loss")
        return min((loss for loss in losses if math.isfinite(loss)), default=None)

    @property
    def reference_loss(self):
        """The loss that is to be left behind: the first, or near that of knowing nothing."""
        return min(self.first_loss, 1.5 * (self.chance or math.inf))

    @property
    def broken_at(self):
        """Step at which the loss was seen to be no longer finite, or None."""
        for look in self.looks:
            if not math.isfinite(look.model.get("loss", 0.0)):
                return look.step
        return None

    @property
    def has_ratios(self):
        """Whether losses can be compared by their ratios: those that may be negative cannot."""
        losses = [*self.figures("loss"), *self.curve("loss"), *self.curve("val_loss")]
        return all(loss > 0 for loss in losses if math.isfinite(loss))

    @property
    def lost_weights(self):
        """(step, layer) at which weights were first seen to be no numbers, or None."""
        for look in self.looks:
            for layer, norm in look.of("weight_norm").items():
                if not math.isfinite(norm):
                    return look.step, layer
        return None

    @property
    def learns(self):
        """Whether an accuracy of the last epoch says so, whatever the loss."""
        last = self.epochs[-1] if self.epochs else {}
        named = [value for name, value in last.items() if "accuracy" in name and "top" not in name]
        return any(value is not None and value >= LEARNS for value in named)

    @property
    def broken(self):
        """Whether the loss ended as no number."""
        return self.broken_at is not None or not all(map(math.isfinite, self.curve("loss")))

    @property
    def started_badly(self):
        """Whether the first loss is far beyond what a model that knows nothing has.

        `WRONG_START` times, as uniform answers have the loss `chance`; healthy starts were
        measured at up to 2.7 times (a new last layer on trained features).
        """
        first, chance = self.first_loss, self.chance
        if first is not None and not math.isfinite(first):
            return True
        return first is not None and chance is not None and not first < WRONG_START * chance

    def figures(self, name):
        """List of a figure of the model, of the looks that have it.

        Args:
            name: Its name.
        """
        return [look.model[name] for look in self.looks if name in look.model]

    def curve(self, name):
        """List of a figure of each epoch that has it.

        Args:
            name: Its name in the logs.
        """
        return [row[name] for row in self.epochs if row.get(name) is not None]


WRONG_START = 3.0
# A model of which that share of the answers is right has learnt, though weights of classes, or
# penalties in the loss, keep the loss high.
LEARNS = 0.8


def median(values):
    """Median of the finite numbers, or None."""
    values = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.median(values)) if values else None


def nan_last(value):
    """The value, for a comparison in which what is no number is the largest.

    Args:
        value: A float.
    """
    return math.inf if math.isnan(value) else value


def write_looks(path, looks):
    """Writes looks as a CSV file: a row a layer and look, and one of the model.

    Args:
        path: The file; its folder exists.
        looks: Each `Look`.
    """
    write_rows(path, [row for look in looks for row in look.rows()])


def write_rows(path, rows):
    """Writes rows as a CSV file, whole or not at all.

    Args:
        path: The file; its folder exists.
        rows: Dicts; what one has not is left empty.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replaced(path) as place, open(place, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_looks(path):
    """The looks of a file that `write_looks` wrote.

    Args:
        path: The file.

    Raises:
        ValueError: If it is no such file.
    """
    return looks_of(read_rows(path, text=("layer",), needed=("step", "layer")))


def looks_of(rows):
    """The looks of which these are the rows.

    Args:
        rows: Flat dicts, as of `Look.rows`.
    """
    looks = {}
    for row in rows:
        step, layer = int(row["step"]), row["layer"]
        figures = {k: v for k, v in row.items() if k not in ("step", "layer")}
        look = looks.setdefault(step, Look(step))
        (look.layers.setdefault(layer, {}) if layer else look.model).update(figures)
    return tuple(looks.values())


def read_rows(path, *, text=(), needed=()):
    """Rows of a CSV file of numbers; empty fields are left out.

    Args:
        path: The file.
        text: Columns that are no numbers.
        needed: Columns that must be there.

    Returns:
        List of dicts.

    Raises:
        ValueError: If a column is missing, or a field is no number.
    """
    with open(pathlib.Path(path), newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}.")
        return [
            {
                key: value if key in text else float(value)
                for key, value in row.items()
                if key in text or value
            }
            for row in reader
        ]
