"""Pictures of a run: its curves, and what it answered."""

import numpy as np

from kerakit.extras import need
from kerakit.training.epoch_log import TIMES


def plot_curves(rows, path, *, validation_only=()):
    """Draws each figure of the log over the epochs, training and validation together.

    Args:
        rows: List of dicts, one an epoch, as `EpochLog.rows`.
        path: Picture to write, `.png`.
        validation_only: Names, without `val_`, of figures that training has not, to be drawn
            before the others.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    columns = dict.fromkeys(key for row in rows for key in row)
    names = [name for name in validation_only if f"val_{name}" in columns]
    names += [key for key in columns if key not in ("epoch", *TIMES) and "val_" not in key]
    wide = min(3, len(names))
    high = -(-len(names) // wide)
    figure = figure_module.Figure(figsize=(4.2 * wide, 3.0 * high), layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(high, wide, number + 1)
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in columns:
                marker = "o" if len(rows) == 1 else None
                values = [row.get(key, np.nan) for row in rows]
                axes.plot([row["epoch"] for row in rows], values, label=label, marker=marker)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if f"val_{name}" in columns:
            axes.legend()
    figure.savefig(path, dpi=100)


def plot_answers(images, titles, right, path):
    """Draws a grid of images, each with its answer: green where right, red where wrong.

    Args:
        images: (N, H, W, 1 or 3) uint8 pixels.
        titles: N strings.
        right: N booleans.
        path: Picture to write, `.png`.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    wide = min(6, len(images))
    high = -(-len(images) // wide)
    figure = figure_module.Figure(figsize=(1.9 * wide, 2.15 * high), layout="constrained")
    for number, (image, title, good) in enumerate(zip(images, titles, right, strict=True)):
        axes = figure.add_subplot(high, wide, number + 1)
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=8, color="darkgreen" if good else "crimson")
        axes.set_axis_off()
    figure.savefig(path, dpi=100)
