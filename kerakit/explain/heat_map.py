"""A heat map over images or clips, and its picture."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from kerakit.explain.grid import draw_grid, shown
from kerakit.extras import need

_COLORS = "inferno"
# How much of the picture the colours hide where the map is 0, and where it is 1.
_LEAST, _MOST = 0.1, 0.7


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """How much each pixel has to do with a score, image by image.

    Arrays are NumPy's; inside a function that is being traced they are the backend's tensors.

    Attributes:
        values: (B, H, W), or (B, T, H, W) for clips, float32, of the images' size. They compare
            within an image; `normalized` brings each to 0..1.
        images: (B, H, W, C) or (B, T, H, W, C), the images.
        raw: The maps before they were enlarged, (B, h, w) or (B, t, h, w); a tuple of them where
            the values are the sum over several layers.
        scores: (B,) float32 scores that are explained, or None.
        classes: (B,) int32 classes of these, or None. Of a model of one unit that says no it is -1,
            "not class 0", whose score is the unit's with the other sign.
        boxes: (B, 4) xyxy in pixels, where the scores are those of detections, or None.
        layers: Names of the layers that the maps come from.
    """

    values: np.ndarray
    images: np.ndarray
    raw: Any = None
    scores: np.ndarray | None = None
    classes: np.ndarray | None = None
    boxes: np.ndarray | None = None
    layers: tuple = ()

    @classmethod
    def of(cls, raw, images, *, scores=None, classes=None, boxes=None, layers=()):
        """The map of what a layer has, brought to the images' size and added up.

        Pixels are interpolated linearly between the centres of cells, over space and time.

        Args:
            raw: (B, h, w) or (B, t, h, w) tensor, or a list of them.
            images: (B, H, W, C) or (B, T, H, W, C).
            scores: As of the attributes.
            classes: As of the attributes.
            boxes: As of the attributes.
            layers: As of the attributes.

        Returns:
            `HeatMap`.
        """
        maps = list(raw) if isinstance(raw, (list, tuple)) else [raw]
        maps = [ops.cast(one, "float32") for one in maps]
        values = sum(enlarged(one, ops.shape(images)[1:-1]) for one in maps)
        known = [with_values(one) for one in maps]
        return cls(
            with_values(values),
            with_values(images),
            known[0] if len(known) == 1 else tuple(known),
            *(None if one is None else with_values(one) for one in (scores, classes, boxes)),
            tuple(layers),
        )

    def normalized(self):
        """The values from 0, the least of each example, to 1, its greatest; 0 where all are alike.

        Returns:
            Float32 array of the shape of `values`.
        """
        values = self.values
        axes = tuple(range(1, len(values.shape)))
        least, greatest = ops.min(values, axes, keepdims=True), ops.max(values, axes, keepdims=True)
        scale = greatest - least
        return with_values((values - least) / ops.where(scale > 0, scale, 1.0))

    def plot(self, path=None, *, most=8, names=None):
        """Draws each image beside itself under the heat map; of clips a strip of frames above it.

        Args:
            path: PNG to write, or None.
            most: Draw the first so many examples, and of a clip so many frames at most.
            names: Names of the classes, to write above; None for their numbers.

        Returns:
            `matplotlib.figure.Figure`.

        Raises:
            ValueError: If there is no example, `most` is below 1, or a class has no name.
        """
        if most < 1:
            raise ValueError(f"`most` must be at least 1, got {most}.")
        if not len(self.values):
            raise ValueError("`values` must have an example to plot, got none.")
        largest = -1 if self.classes is None else int(max(self.classes))
        if names is not None and len(names) <= max(largest, 0):
            raise ValueError(
                f"`names` must have a name for each class, to class {largest}, got {len(names)}."
            )
        heat, pictures, titles, boxes = self.normalized(), [], [], []
        is_clip = heat.ndim == 4
        count = heat.shape[1] if is_clip else 1
        frames = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
        for example in range(min(most, len(heat))):
            pixels = shown(self.images[example])
            if is_clip:
                plain = [pixels[frame] for frame in frames]
                hot = [heat[example][frame] for frame in frames]
            else:
                plain, hot = [pixels], [heat[example]]
            pictures += plain
            pictures += [overlaid(*pair) for pair in zip(plain, hot, strict=True)]
            titles += [self._title(example, names), *[""] * (2 * len(frames) - 1)]
            boxes += [None if self.boxes is None else self.boxes[example]] * 2 * len(frames)
        wide = len(frames) if is_clip else 2 * min(4, len(pictures) // 2)
        figure = draw_grid(pictures, titles=titles if any(titles) else None, wide=wide)
        for axes, box in zip(figure.axes, boxes, strict=True):
            if box is not None and (box[2:] > box[:2]).all():
                _draw_box(axes, box)
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=100)
        return figure

    def _title(self, example, names):
        title = []
        if self.classes is not None:
            number = int(self.classes[example])
            name = f"class {max(number, 0)}" if names is None else str(names[max(number, 0)])
            title.append(name if number >= 0 else f"not {name}")
        if self.scores is not None:
            title.append(f"score {float(self.scores[example]):.2f}")
        return ": ".join(title)


def with_values(tensor):
    """The tensor as a NumPy array, or itself while a function is traced and it has no values."""
    try:
        return ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError):
        return tensor


def enlarged(heat, extent):
    """A map of cells brought to the size of images.

    Args:
        heat: (B, h, w) or (B, t, h, w) float32 tensor.
        extent: (H, W), or (T, H, W).

    Returns:
        (B, H, W) or (B, T, H, W) tensor, by linear interpolation between the centres of cells.
    """
    if len(heat.shape) == 3:
        return _resized(heat, extent)
    frames, height, width = ops.shape(heat)[1:]
    wide = _resized(ops.reshape(heat, (-1, height, width)), extent[1:])
    area = extent[1] * extent[2]
    return ops.reshape(
        _resized(ops.reshape(wide, (-1, frames, area)), (extent[0], area)), (-1, *extent)
    )


def _resized(heat, size):
    return ops.image.resize(
        heat[..., None],
        size,
        interpolation="bilinear",
        antialias=False,
        data_format="channels_last",
    )[..., 0]


def overlaid(pixels, heat):
    """An image under a heat map.

    Args:
        pixels: (H, W, 3) of 0 to 1.
        heat: (H, W) of 0 to 1.

    Returns:
        (H, W, 3) of 0 to 1.
    """
    colors = need("matplotlib", extra="plot").colormaps[_COLORS](heat)[..., :3]
    opacity = (_LEAST + (_MOST - _LEAST) * heat)[..., None]
    return pixels * (1 - opacity) + colors * opacity


def _draw_box(axes, box):
    patches = need("matplotlib.patches", extra="plot")
    left, top, right, bottom = (float(edge) for edge in box)
    axes.add_patch(
        # Pixel 0 is drawn from -0.5 to 0.5.
        patches.Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color="lime", lw=1
        )
    )
