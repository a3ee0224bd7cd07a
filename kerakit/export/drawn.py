"""Objects drawn into the image they were found in."""

import colorsys

import numpy as np

from kerakit.extras import need

_NARROWEST, _WIDEST = 640, 1280
_FONT_SIZE = 13
# Of more objects, texts would hide the image.
_MOST_TEXTS = 25


def font(size):
    """A font with more alphabets than Pillow's own, which Matplotlib brings."""
    folder = need("matplotlib", extra="plot").get_data_path() + "/fonts/ttf"
    return need("PIL.ImageFont", extra="plot").truetype(f"{folder}/DejaVuSans.ttf", size)


def upright(image_file):
    """An image as a model is shown it: upright, transparent parts white, in colour.

    Args:
        image_file: File, or path of one, that the export could read.

    Returns:
        `PIL.Image.Image` in mode RGB.
    """
    pillow = need("PIL.Image", extra="plot")
    operations = need("PIL.ImageOps", extra="plot")
    with pillow.open(image_file) as opened:
        image = operations.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            # Pillow would show all above 255 as white; the model saw the upper 8 bits.
            image = pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        image = image.convert("RGBA")
    shown = pillow.new("RGB", image.size, "white")
    shown.paste(image, mask=image)
    return shown


def at_a_readable_size(image, *, narrowest=_NARROWEST, widest=_WIDEST):
    """An image, enlarged by a whole factor or made smaller so that it can be looked at.

    Args:
        image: `PIL.Image.Image`.
        narrowest: Least length of the longer side, in pixels.
        widest: Its greatest length.

    Returns:
        The image, and the factor by which it grew.
    """
    longest = max(image.size)
    factor = -(-narrowest // longest) if longest < narrowest else min(1.0, widest / longest)
    if factor == 1:
        return image, 1.0
    resampling = need("PIL.Image", extra="plot").Resampling
    size = tuple(max(1, round(side * factor)) for side in image.size)
    method = resampling.NEAREST if factor > 1 else resampling.BOX
    return image.resize(size, method), factor


def draw_objects(image, *, boxes, labels, texts, masks=None, factor=1.0):
    """Draws boxes with a line of text each, and masks as a tint, a colour a class.

    Args:
        image: `PIL.Image.Image` in mode RGB; it is drawn into.
        boxes: (N, 4) xyxy in pixels of the image before it grew by `factor`.
        labels: N class numbers.
        texts: N strings; an empty one is not written, and of more than 25 none.
        masks: None, or N arrays of values over the boxes, of which 0.5 and more are tinted.
        factor: See `at_a_readable_size`.
    """
    draw = need("PIL.ImageDraw", extra="plot").Draw(image)
    letters = font(_FONT_SIZE)
    boxes = np.asarray(boxes, float).reshape(-1, 4) * factor
    for number, box in enumerate(boxes) if masks is not None else ():
        _tint(image, box, masks[number], class_color(labels[number]))
    for box, label, text in zip(boxes, labels, texts, strict=True):
        color = class_color(label)
        draw.rectangle(tuple(box), outline=color, width=2)
        if text and len(boxes) <= _MOST_TEXTS:
            place = draw.textbbox((box[0] + 2, max(box[1] - _FONT_SIZE - 3, 0)), text, font=letters)
            draw.rectangle((place[0] - 2, place[1] - 1, place[2] + 1, place[3] + 1), fill=color)
            draw.text((place[0], place[1]), text, fill="white", font=letters, anchor="lt")


def class_color(label):
    """A dark colour, of which the next class has one far off: the golden section of the circle."""
    red, green, blue = colorsys.hsv_to_rgb((0.61 + 0.618034 * int(label)) % 1.0, 0.85, 0.75)
    return tuple(round(255 * part) for part in (red, green, blue))


def _tint(image, box, mask, color):
    pillow = need("PIL.Image", extra="plot")
    left, top, right, bottom = (round(edge) for edge in box)
    if right <= left or bottom <= top:
        return
    cells = pillow.fromarray(np.asarray(mask, np.float32))
    inside = np.asarray(cells.resize((right - left, bottom - top), pillow.Resampling.BILINEAR))
    tint = pillow.fromarray(np.uint8(110 * (inside >= 0.5)))
    image.paste(pillow.new("RGB", tint.size, color), (left, top), tint)
