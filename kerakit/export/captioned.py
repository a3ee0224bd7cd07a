"""An image with what a model said about it written below."""

import numpy as np

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
    pillow = need("PIL.Image", extra="plot")
    drawing = need("PIL.ImageDraw", extra="plot")
    operations = need("PIL.ImageOps", extra="plot")
    # Matplotlib brings a font with more alphabets than Pillow's own.
    fonts = need("matplotlib", extra="plot").get_data_path() + "/fonts/ttf"
    font = need("PIL.ImageFont", extra="plot").truetype(f"{fonts}/DejaVuSans.ttf", _FONT_SIZE)

    with pillow.open(image_file) as opened:
        # Upright, and transparent parts white: as the model saw it.
        image = operations.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            # Pillow would show all above 255 as white; the model saw the upper 8 bits.
            image = pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        image = image.convert("RGBA")
    shown = pillow.new("RGB", image.size, "white")
    shown.paste(image, mask=image)
    longest = max(shown.size)
    if longest < _NARROWEST:
        factor = -(-_NARROWEST // longest)
        shown = shown.resize(
            (shown.width * factor, shown.height * factor), pillow.Resampling.NEAREST
        )
    elif longest > _WIDEST:
        shown.thumbnail((_WIDEST, _WIDEST))

    line_height = _FONT_SIZE + _MARGIN
    text_width = max((int(font.getlength(line)) + 1 for line in lines), default=0)
    width = max(shown.width, text_width + 2 * _MARGIN)
    picture = pillow.new(
        "RGB", (width, shown.height + line_height * len(lines) + 2 * _MARGIN), "white"
    )
    picture.paste(shown, ((width - shown.width) // 2, 0))
    draw = drawing.Draw(picture)
    for number, line in enumerate(lines):
        top = shown.height + _MARGIN + number * line_height
        draw.text((_MARGIN, top), line, fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
