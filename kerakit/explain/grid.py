"""Pictures beside each other in one figure."""

from pathlib import Path

import numpy as np

from kerakit.extras import need

_SIDE = 1.5  # inches of a picture


def draw_grid(pictures, *, titles=None, wide=8, colors="gray", heading=None, path=None):
    """Draws pictures in rows, each as it is: nothing is smoothed or scaled anew.

    Args:
        pictures: List of arrays of 0 to 1, (h, w) or (h, w, 1) to be coloured, or (h, w, 3) red,
            green and blue.
        titles: A text above each, or None.
        wide: Most pictures in a row.
        colors: Name of Matplotlib's colour map for pictures of one channel.
        heading: Text above all of them, or None.
        path: PNG to write, its folder made if need be; or None.

    Returns:
        `matplotlib.figure.Figure`, which no window holds.
    """
    wide = max(1, min(wide, len(pictures)))
    high = -(-len(pictures) // wide)
    above = 0.0 if titles is None else 0.25
    aspect = max(np.shape(picture)[0] / np.shape(picture)[1] for picture in pictures)
    # Of tall and of flat pictures alike the longer side has the same length.
    across, down = _SIDE / max(aspect, 1), _SIDE * min(aspect, 1)
    size = (max(3.0, across * wide), max(1.0, (down + above) * high + (0.4 if heading else 0.0)))
    figure = need("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(high, wide, number + 1)
        pixels = np.asarray(picture, np.float32)
        pixels = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
        axes.imshow(pixels, cmap=colors, vmin=0.0, vmax=1.0, interpolation="nearest")
        if titles is not None:
            axes.set_title(str(titles[number]), fontsize=8)
        axes.set_axis_off()
    if heading:
        figure.suptitle(heading, fontsize=10)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
    return figure


def shown(image):
    """Raw pixels (H, W, C) of any number of channels as (H, W, 3) of 0 to 1.

    Of more or fewer than three channels the mean is shown, grey. Pixels outside 0..255, or all
    within 0..1, are taken for normalised ones and stretched from the least to the greatest.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.shape[-1] != 3:
        pixels = np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1)
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and 1 < high <= 255:
        return pixels / 255.0
    return (pixels - low) / max(high - low, 1e-12)


def check_grid(example, most, count):
    """Refuses an example that is not there, and a grid of nothing.

    Raises:
        ValueError: If `example` is not in [0, count), or `most` below 1.
    """
    if not 0 <= example < count:
        raise ValueError(f"`example` must be in [0, {count}), got {example}.")
    if most < 1:
        raise ValueError(f"`most` must be at least 1, got {most}.")
