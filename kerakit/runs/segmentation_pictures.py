"""Pictures of a segmenter's run: images, true masks and those found side by side."""

from kerakit.export.drawn import at_a_readable_size
from kerakit.export.masks_told import overlay
from kerakit.extras import need

_SIDE, _GAP = 320, 6


def plot_masks(shown, classes, path):
    """Draws each image as it is, with its true mask, and with the one found.

    Args:
        shown: List of (image uint8 (H, W, 3), true mask, mask found), class ids (H, W).
        classes: K names.
        path: Picture to write, `.png`.
    """
    pillow = need("PIL.Image", extra="plot")
    rows = []
    for pixels, truth, found in shown:
        image = pillow.fromarray(pixels)
        masked = [overlay(image, mask, classes) for mask in (truth, found)]
        panels = (at_a_readable_size(image)[0], *masked)
        rows.append([_at_one_size(panel) for panel in panels])
    high = [max(panel.height for panel in row) + _GAP for row in rows]
    picture = pillow.new("RGB", (3 * (_SIDE + _GAP) + _GAP, sum(high) + _GAP), "white")
    top = _GAP
    for row, height in zip(rows, high, strict=True):
        for number, panel in enumerate(row):
            picture.paste(panel, (_GAP + number * (_SIDE + _GAP), top))
        top += height
    picture.save(path)


def _at_one_size(image):
    return at_a_readable_size(image, narrowest=_SIDE // 2, widest=_SIDE)[0]
