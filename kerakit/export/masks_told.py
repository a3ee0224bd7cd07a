"""What a person and a program are told of the mask of an image."""

import numpy as np

from kerakit.data.prepare import IGNORE
from kerakit.export.drawn import at_a_readable_size, class_color, font, upright
from kerakit.extras import need

_FONT_SIZE, _LINE, _MARGIN = 16, 24, 8
_OPACITY = 110 / 255


def masks_told(mask, classes, *, top=None):
    """The share of each class in an image, in words and for JSON.

    Args:
        mask: (H, W) class ids.
        classes: K names.
        top: At most so many in words, those of the most pixels; None for all there are.

    Returns:
        List of strings, and a dict for JSON with `image_size` and `shares`, of every class.

    Example:

    >>> masks_told(np.array([[0, 2], [2, 2]]), ["none", "cell", "gland"])[0]
    ['gland 75.0 %', 'none 25.0 %']
    """
    counts = np.bincount(np.ravel(mask), minlength=len(classes))[: len(classes)]
    shares = counts / max(counts.sum(), 1)
    order = [k for k in np.argsort(-shares, kind="stable") if counts[k]][:top]
    words = [f"{classes[k]} {shares[k]:.1%}".replace("%", " %") for k in order]
    shares = {name: float(share) for name, share in zip(classes, shares, strict=True)}
    return words, {"image_size": [int(side) for side in mask.shape], "shares": shares}


def write_mask(mask, path):
    """Writes class ids as a grey PNG, a value an id, as `kerakit.data.load("masks:DIR")` reads.

    Args:
        mask: uint8 (H, W).
        path: PNG to write; its folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    need("PIL.Image", extra="plot").fromarray(np.asarray(mask, np.uint8)).save(path)


def write_overlay(image_file, mask, classes, path):
    """Writes an image tinted by class, with a legend below.

    Args:
        image_file: File of the image, one that the export could read.
        mask: (H, W) class ids.
        classes: K names.
        path: PNG to write; its folder is made if need be.
    """
    picture = with_legend(overlay(upright(image_file), mask, classes), mask, classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def overlay(image, mask, classes):
    """An image tinted by the class of each pixel, at a size that can be looked at.

    A first class of the name "background" is not tinted, nor are pixels to be ignored (255).

    Args:
        image: `PIL.Image.Image` in mode RGB.
        mask: (H, W) class ids, of the image's size.
        classes: K names.

    Returns:
        `PIL.Image.Image` in mode RGB.
    """
    pillow = need("PIL.Image", extra="plot")
    colors = np.zeros((IGNORE + 1, 3))
    opacity = np.zeros((IGNORE + 1, 1))
    for k in range(len(classes)):
        colors[k], opacity[k] = class_color(k), 0.0 if _is_background(k, classes) else _OPACITY
    mask = np.asarray(mask)
    pixels = np.asarray(image, float) * (1 - opacity[mask]) + colors[mask] * opacity[mask]
    return at_a_readable_size(pillow.fromarray(np.uint8(np.round(pixels))))[0]


def with_legend(picture, mask, classes):
    """A picture with a line below for each class that a mask has: its colour, name and share."""
    pillow = need("PIL.Image", extra="plot")
    drawing = need("PIL.ImageDraw", extra="plot")
    letters = font(_FONT_SIZE)
    present = [k for k in range(len(classes)) if (mask == k).any()]
    shares = masks_told(mask, classes)[1]["shares"]
    lines = [f"{classes[k]}  {100 * shares[classes[k]]:.1f} %" for k in present]
    wide = max((int(letters.getlength(line)) for line in lines), default=0) + _LINE + 2 * _MARGIN
    size = (max(picture.width, wide), picture.height + _LINE * len(lines) + _MARGIN)
    whole = pillow.new("RGB", size, "white")
    whole.paste(picture, (0, 0))
    draw = drawing.Draw(whole)
    for row, (k, line) in enumerate(zip(present, lines, strict=True)):
        top = picture.height + _MARGIN + row * _LINE
        square = (_MARGIN, top, _MARGIN + _FONT_SIZE, top + _FONT_SIZE)
        fill = None if _is_background(k, classes) else class_color(k)
        draw.rectangle(square, fill=fill, outline="black")
        draw.text((_LINE + _MARGIN, top - 1), line, fill="black", font=letters)
    return whole


def _is_background(class_id, classes):
    return class_id == 0 and classes[0].lower() == "background"
