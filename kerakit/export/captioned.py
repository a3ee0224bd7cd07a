"""An image with what a model said about it written below."""

from kerakit.export.drawn import at_a_readable_size, font, upright
from kerakit.extras import need

# Wide enough for a line of text, also below a digit of 8 x 8 pixels.
_NARROWEST, _WIDEST = 320, 1280
_FONT_SIZE, _MARGIN = 20, 8


def write_captioned(image_file, lines, path):
    """Writes an image with lines of text below it.

    Args:
        image_file: File of the image, one that the export could read.
        lines: Lines of text.
        path: PNG to write; its folder is made if need be.
    """
    shown, _ = at_a_readable_size(upright(image_file), narrowest=_NARROWEST, widest=_WIDEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    captioned(shown, lines).save(path)


def captioned(shown, lines):
    """A `PIL.Image.Image` with lines of text below it."""
    pillow = need("PIL.Image", extra="plot")
    drawing = need("PIL.ImageDraw", extra="plot")
    letters = font(_FONT_SIZE)
    line_height = _FONT_SIZE + _MARGIN
    text_width = max((int(letters.getlength(line)) + 1 for line in lines), default=0)
    width = max(shown.width, text_width + 2 * _MARGIN)
    picture = pillow.new(
        "RGB", (width, shown.height + line_height * len(lines) + 2 * _MARGIN), "white"
    )
    picture.paste(shown, ((width - shown.width) // 2, 0))
    draw = drawing.Draw(picture)
    for number, line in enumerate(lines):
        top = shown.height + _MARGIN + number * line_height
        draw.text((_MARGIN, top), line, fill="black", font=letters)
    return picture
