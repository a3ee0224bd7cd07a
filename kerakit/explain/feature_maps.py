"""What a layer makes of an image, map by map."""

import dataclasses

import numpy as np
from keras import Model, layers, ops

from kerakit.explain.calls import run
from kerakit.explain.filters import first_convolution
from kerakit.explain.grid import check_grid, draw_grid, shown
from kerakit.explain.inputs import given
from kerakit.explain.layers_within import chosen_layer, listed


@dataclasses.dataclass(frozen=True)
class FeatureMaps:
    """A layer's outputs.

    Attributes:
        values: float32 (B, H', W', C), or (B, T', H', W', C) of clips.
        layer: Name of the layer.
        images: The images, (B, H, W, C) or (B, T, H, W, C).
    """

    values: np.ndarray
    layer: str
    images: np.ndarray

    def plot(self, path=None, *, example=0, frame=None, most=64):
        """Draws an image and its maps in a grid, each from its least value to its greatest.

        A map of one value only is dark: of a ReLU's, one that found nothing.

        Args:
            path: PNG to write, or None.
            example: Number of the image.
            frame: Of a clip the frame of the layer's output to draw; None for the middle one.
            most: Draw the first so many maps.

        Returns:
            `matplotlib.figure.Figure`.

        Raises:
            ValueError: If there is no such example or frame, or `most` is below 1.
        """
        check_grid(example, most, len(self.values))
        maps, image = self.values[example], self.images[example]
        if maps.ndim == 4:
            frames = len(maps)
            frame = frames // 2 if frame is None else frame
            if not 0 <= frame < frames:
                raise ValueError(f"`frame` must be in [0, {frames}), got {frame}.")
            # Its place in time, of frames that a layer may have made fewer.
            maps, image = maps[frame], image[int((frame + 0.5) * len(image) / frames)]
        elif frame is not None:
            raise ValueError(f"`frame` is for clips, got {frame} for images.")
        low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
        scaled = (maps - low) / np.where(high > low, high - low, 1.0)
        count = min(most, maps.shape[-1])
        panels = [shown(image), *np.moveaxis(scaled, -1, 0)[:count]]
        return draw_grid(
            panels,
            titles=["image", *range(count)],
            colors="viridis",
            heading=f"{self.layer}: {count} of {maps.shape[-1]} maps",
            path=path,
        )


def feature_maps(model, images, *, layer=None):
    """The maps that a layer gives for images.

    Args:
        model: Built Keras model of any kind.
        images: As of `kerakit.explain.grad_cam`.
        layer: Name of a layer, or the layer, also of one inside another; None for the first
            convolution. Of one that is called several times it is the last call.

    Returns:
        `FeatureMaps`, of the model in inference.

    Raises:
        ValueError: If there is no such layer, it is not called, or it gives no maps.

    Example:

    >>> import keras
    >>> layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3, name="one")]
    >>> feature_maps(keras.Sequential(layers), np.ones((2, 8, 8, 3))).values.shape
    (2, 6, 6, 5)
    """
    chosen = first_convolution(model) if layer is None else chosen_layer(model, layer)
    inputs, pixels = given(images)
    calls = []
    run(model, inputs, calls=calls)
    outputs = [called.output for called in calls if called.operation is chosen]
    names = [called.operation.name for called in calls if _gives_maps(called)]
    if not outputs:
        raise ValueError(
            f"`layer` {chosen.name!r} is not called by {model.name}; there are "
            f"{listed(names, like=chosen.name)}."
        )
    if not _is_map(outputs[-1]):
        shape = tuple(getattr(outputs[-1], "shape", ()))
        raise ValueError(
            f"`layer` must give maps (B, H, W, C) or (B, T, H, W, C), and {chosen.name!r} gives "
            f"{shape or type(outputs[-1]).__name__}; there are {listed(names, like=chosen.name)}."
        )
    values = ops.convert_to_numpy(ops.cast(outputs[-1], "float32"))
    return FeatureMaps(values, chosen.name, ops.convert_to_numpy(pixels))


def _gives_maps(called):
    """Whether a call is of a layer, and not of a model or a function, and returned maps."""
    is_layer = isinstance(called.operation, layers.Layer)
    return is_layer and not isinstance(called.operation, Model) and _is_map(called.output)


def _is_map(output):
    return len(getattr(output, "shape", ())) in (4, 5)
