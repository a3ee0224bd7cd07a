"""The filters of a network's first layer as pictures."""

import dataclasses

import keras
import numpy as np
from keras import ops

from kerakit.explain.grid import check_grid, draw_grid
from kerakit.explain.layers_within import chosen_layer, layers_within


@dataclasses.dataclass(frozen=True)
class Filters:
    """Filters of a convolution.

    Attributes:
        values: float32 (K, h, w, C) of 0 to 1, C 1 or 3: the pictures. A weight of 0 is 0.5, and
            the filter's largest in size is 0 or 1.
        weights: float32 (K, h, w, C), the weights themselves.
        layer: Name of the layer.
    """

    values: np.ndarray
    weights: np.ndarray
    layer: str

    def plot(self, path=None, *, most=64):
        """Draws the filters in a grid.

        Args:
            path: PNG to write, or None.
            most: Draw the first so many.

        Returns:
            `matplotlib.figure.Figure`.

        Raises:
            ValueError: If `most` is below 1.
        """
        check_grid(0, most, len(self.values))
        heading = f"{self.layer}: {min(most, len(self.values))} of {len(self.values)} filters"
        return draw_grid(list(self.values[:most]), heading=heading, path=path)


def filters(model, *, layer=None):
    """The kernels of the first convolution, which lie on the pixels and can be seen as pictures.

    In a trained network they show edges, bars and blobs of colour; noise says that it has not
    learnt, or without regularisation. Each filter is scaled about 0 by its own largest weight:
    `0.5 + w / (2 max|w|)`. In a vision transformer they are the projections of the patches. Of
    a video network's filters the frames stand side by side. Where a network takes blue, green, red,
    as VGG's and ResNet's published weights in `keras.applications` do, colours are in that order.

    Args:
        model: Built Keras model.
        layer: Name of a layer of convolution, or the layer; None for the first one. Where its
            kernel has other than 1 or 3 input channels, each of them is a picture of its own,
            grey, filter by filter.

    Returns:
        `Filters`.

    Raises:
        ValueError: If the model has no convolution, or the layer is none or not there.

    Reference:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014, Fig. 6.
        Deviations: scaled about 0, so that grey is no weight.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3, name="one")])
    >>> pictures = filters(model)
    >>> pictures.values.shape, pictures.layer
    ((5, 3, 3, 3), 'one')
    """
    chosen = first_convolution(model)
    if layer is not None:
        chosen = chosen_layer(model, layer, among=_convolutions(model), kind="a convolution")
    kernel = ops.convert_to_numpy(_kernel(chosen)).astype(np.float32)
    if kernel.ndim == 5:  # (T, h, w, C, K): its frames side by side
        frames, height, width, *rest = kernel.shape
        kernel = np.swapaxes(kernel, 0, 1).reshape(height, frames * width, *rest)
    weights = np.moveaxis(kernel, -1, 0)  # (K, h, w, C)
    if isinstance(chosen, keras.layers.DepthwiseConv2D) or weights.shape[-1] not in (1, 3):
        weights = np.moveaxis(weights, -1, 1).reshape(-1, *weights.shape[1:3], 1)
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    values = 0.5 + weights / (2.0 * np.where(largest > 0, largest, 1.0))
    return Filters(values.astype(np.float32), weights, chosen.name)


def first_convolution(model):
    """The first layer with a kernel over space.

    Raises:
        ValueError: If there is none.
    """
    return _convolutions(model)[0]


def _convolutions(model):
    found = [one for one in layers_within(model) if _kernel(one) is not None]
    if not found:
        kinds = ", ".join(dict.fromkeys(type(one).__name__ for one in layers_within(model)))
        raise ValueError(
            f"`model` must have a convolution that is built, and {model.name} has none: its layers "
            f"are {kinds or 'none'}. Of a linear classifier `explain.templates` shows the weights."
        )
    return found


def _kernel(layer):
    """The kernel over space of a layer of convolution, or None."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return getattr(layer, "depthwise_kernel", None)
    if "transpose" in type(layer).__name__.lower():
        return None
    kernel = getattr(layer, "kernel", None)
    over_space = isinstance(kernel, keras.Variable) and len(kernel.shape) in (4, 5)
    return kernel if over_space else None
