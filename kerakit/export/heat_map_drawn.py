"""A heat map laid over the image that it explains."""

import numpy as np

from kerakit.export.captioned import captioned
from kerakit.export.drawn import at_a_readable_size, upright
from kerakit.extras import need

_NARROWEST, _WIDEST, _GAP = 320, 640, 8
_COLORS = "inferno"
# How much of the picture the colours hide where the map is 0, and where it is 1.
_LEAST, _MOST = 0.1, 0.7


def write_heat_map(image_file, answer, lines, path):
    """Writes an image, beside it the same under its heat map, and lines of text below.

    Args:
        image_file: File of the image, one that the export could read.
        answer: The export's explained answer, as of `Served.answer`.
        lines: Lines of text.
        path: PNG to write; its folder is made if need be.
    """
    pillow = need("PIL.Image", extra="plot")
    image, factor = at_a_readable_size(upright(image_file), narrowest=_NARROWEST, widest=_WIDEST)
    heated = under_heat(image, answer["heat_map"], answer["heat_map_box"] * factor)
    both = pillow.new("RGB", (2 * image.width + _GAP, image.height), "white")
    both.paste(image, (0, 0))
    both.paste(heated, (image.width + _GAP, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    captioned(both, lines).save(path)


def under_heat(image, heat_map, box):
    """An image coloured by a heat map.

    Args:
        image: `PIL.Image.Image` in mode RGB.
        heat_map: (h, w) of 0 to 1.
        box: xyxy in pixels of the image: where the map lies, which may be beyond its edges.

    Returns:
        `PIL.Image.Image` of the image's size, darker and untouched by colour where no map lies.
    """
    pillow = need("PIL.Image", extra="plot")
    colors = need("matplotlib", extra="plot").colormaps[_COLORS]
    heat = pillow.fromarray(np.asarray(heat_map, np.float32))
    # The part of the map that lies in the image, in cells of the map, stretched over the image.
    left, top, right, bottom = (float(edge) for edge in box)
    inside = (max(left, 0.0), max(top, 0.0), min(right, image.width), min(bottom, image.height))
    scale = heat.width / (right - left), heat.height / (bottom - top)
    cells = tuple(
        (edge - start) * factor
        for edge, start, factor in zip(inside, (left, top) * 2, scale * 2, strict=True)
    )
    place = tuple(round(edge) for edge in inside)
    size = max(1, place[2] - place[0]), max(1, place[3] - place[1])
    spread = heat.resize(size, pillow.Resampling.BILINEAR, box=cells)
    canvas = pillow.new("F", image.size, 0.0)
    canvas.paste(spread, place[:2])
    heat = np.clip(np.asarray(canvas), 0.0, 1.0)
    opacity = (_LEAST + (_MOST - _LEAST) * heat)[..., None]
    pixels = np.asarray(image, np.float32) * (1 - opacity) + 255 * colors(heat)[..., :3] * opacity
    return pillow.fromarray(np.uint8(np.round(pixels)))
