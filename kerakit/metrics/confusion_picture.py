"""A picture of a confusion matrix."""

import numpy as np

from kerakit.extras import need

LETTER = 0.65  # width of a letter over the size of its font


def confusion_picture(matrix, classes, *, normalize=None):
    """Draws a confusion matrix: a cell for each pair of classes, darker for a larger share.

    The colour is a share even where weights are written, so that a rare class reads as well
    as a frequent one: the share of the row (its class's examples) unless `normalize` asks
    for another. It follows the square root of the share, or a mistake made once in a hundred
    would look like none. Cells of 0 stay empty.

    Args:
        matrix: (K, K) weights, rows true, columns predicted.
        classes: K names.
        normalize: `None` (weights in the cells), or the share in the cells: `"true"` of the
            row, `"predicted"` of the column, `"all"` of all.

    Returns:
        A `matplotlib.figure.Figure`, which no window holds: `figure.savefig(path)`.

    Raises:
        ValueError: If `normalize` is not one of these.
    """
    axis = {None: 1, "true": 1, "predicted": 0, "all": None}
    if normalize not in axis:
        raise ValueError(
            f"`normalize` must be None, 'true', 'predicted' or 'all', got {normalize!r}."
        )
    total = matrix.sum(axis=axis[normalize], keepdims=True)
    share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total != 0)

    size = len(classes)
    names = [str(name) for name in classes]
    cell = float(np.clip(12 / size, 0.25, 0.75))  # inches
    font = float(np.clip(16 * cell, 5.5, 11))
    # Names of many letters need room beside the matrix.
    longest = LETTER * font / 72 * max(len(name) for name in names)
    side = max(cell * size, 2.0)
    large = max(10.0, 0.7 * side)  # a picture of many classes is seen from further away
    figure = need("matplotlib.figure", extra="plot").Figure(
        figsize=(side + longest + 0.15 * large + 0.3, side + longest + 0.05 * large),
        layout="constrained",
        dpi=120,
    )
    axes = figure.add_subplot()
    # With "all" the largest share may be small: let the colours span what there is.
    top = share.max() if normalize == "all" and share.max() > 0 else 1.0
    scale = need("matplotlib.colors", extra="plot").PowerNorm(0.5, vmin=0, vmax=top)
    image = axes.imshow(share, cmap="Blues", norm=scale)
    bar = figure.colorbar(
        image, ax=axes, shrink=0.6, aspect=30, pad=0.02, format=lambda value, _: f"{value:.0%}"
    )
    bar.ax.tick_params(labelsize=large)
    bar.set_label(
        "share of " + {"predicted": "predicted class", "all": "all"}.get(normalize, "true class"),
        fontsize=large,
    )
    axes.set_xticks(range(size), names, fontsize=font)
    axes.set_yticks(range(size), names, fontsize=font)
    if longest > cell:
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel("predicted", fontsize=large)
    axes.set_ylabel("true", fontsize=large)
    for row, column in np.argwhere(matrix != 0):
        value = matrix[row, column] if normalize is None else share[row, column]
        text = _count(value) if normalize is None else _percent(value)
        fitting = 0.9 * cell * 72 / (LETTER * len(text))  # nine tenths of the cell
        light = scale(share[row, column]) > 0.55
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=min(font, fitting),
            color="white" if light else "black",
        )
    # Lines between the cells lead the eye to a name a hundred classes away.
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.88", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    return figure


def _count(value):
    """At most five letters: 12, 0.5, 99999, 123k, 4.6M."""
    if value < 1e5:
        return f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    raise AssertionError("no unit is above the value")


def _percent(value):
    return f"{value:.0%}" if value >= 0.0095 else "<1%"
