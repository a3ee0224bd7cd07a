"""Pictures of a detector's run: objects found beside the true ones, precision over recall."""

import itertools

import numpy as np

from kerakit.export.drawn import at_a_readable_size, draw_objects
from kerakit.extras import need

_CURVES = 10  # classes whose curves are drawn
_SIDE = 400  # pixels of a panel's longer side
_SHOWN_SCORE = 0.5
_DARK = 160  # an image without a pixel of this value is shown brightened


def plot_precision_recall(metric, path):
    """Draws precision over recall at an IoU of 0.5, of the classes that are found best.

    Args:
        metric: `MeanAveragePrecision` that has seen the images.
        path: Picture to write, `.png`.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    figure = figure_module.Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    curves = sorted(metric.curves().items(), key=lambda item: -np.mean(item[1][1]))
    for name, (recall, precision, _) in curves[:_CURVES]:
        axes.step(recall, precision, where="post", label=f"{name} {np.mean(precision):.3f}")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_ylim(0.0, 1.05)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(title="average precision, IoU 0.5")
    figure.savefig(path, dpi=100)


def plot_found(shown, source, classes, path):
    """Draws images twice: with the true objects, and with those found of a score of 0.5 or more.

    Args:
        shown: List of (number of the image in `source`, truth, found), dicts of arrays in the
            pixels of the original image, without the batch's axis: `boxes`, `labels`, and
            `boxes`, `classes`, `scores`, perhaps `masks` of whole images.
        source: Source of the images.
        classes: K names.
        path: Picture to write, `.png`.
    """
    pillow = need("PIL.Image", extra="plot")
    wanted = {number for number, _, _ in shown}
    pixels = {}
    for number, example in enumerate(source.dataset().take(max(wanted, default=-1) + 1)):
        if number in wanted:
            pixels[number] = _bright(example["image"].numpy())
    panels = []
    for number, truth, found in shown:
        image, factor = at_a_readable_size(
            pillow.fromarray(pixels[number]), narrowest=_SIDE // 2, widest=_SIDE
        )
        true, sure = truth["labels"] >= 0, found["scores"] >= _SHOWN_SCORE
        left, right = image.copy(), image.copy()
        labels = truth["labels"][true]
        draw_objects(
            left, boxes=truth["boxes"][true], labels=labels, texts=_texts(labels, classes),
            masks=_inside(truth, true), factor=factor,
        )  # fmt: skip
        labels, scores = found["classes"][sure], found["scores"][sure]
        draw_objects(
            right, boxes=found["boxes"][sure], labels=labels,
            texts=_texts(labels, classes, scores), masks=_inside(found, sure), factor=factor,
        )  # fmt: skip
        panels.append((left, right))
    _grid(pillow, panels).save(path)


def _bright(pixels):
    """A dark image over its brightest pixel, to be looked at."""
    brightest = max(int(pixels.max()), 1)
    if brightest >= _DARK:
        return pixels
    return (pixels.astype(np.float32) * (255.0 / brightest)).astype(np.uint8)


def _texts(labels, classes, scores=None):
    # Where all is of one class, its name says nothing, and hides much.
    names = [classes[label] if len(classes) > 1 else "" for label in labels]
    if scores is None:
        return names
    return [f"{name} {score:.2f}".strip() for name, score in zip(names, scores, strict=True)]


def _inside(side, kept):
    """Of whole masks the part within each box, as `draw_objects` takes them."""
    whole = side.get("masks")
    if whole is None:
        return None
    parts = []
    for mask, box in zip(whole[kept], side["boxes"][kept], strict=True):
        left, top = (max(int(np.floor(edge)), 0) for edge in box[:2])
        part = mask[top : int(np.ceil(box[3])), left : int(np.ceil(box[2]))]
        parts.append(part if part.size else np.zeros((1, 1)))
    return parts


def _grid(pillow, panels, gap=6):
    """Pairs of panels, two pairs a row."""
    width = max((left.width for left, _ in panels), default=1)
    height = max((left.height for left, _ in panels), default=1)
    rows = -(-max(len(panels), 1) // 2)
    size = (4 * width + 5 * gap, rows * (height + gap) + gap)
    picture = pillow.new("RGB", size, "white")
    places = itertools.product(range(rows), (0, 2))
    for (row, column), pair in zip(places, panels, strict=False):
        for number, panel in enumerate(pair):
            left = gap + (column + number) * (width + gap)
            picture.paste(panel, (left, gap + row * (height + gap)))
    return picture
