"""The weights of a linear classifier as pictures, one a class."""

import dataclasses

import keras
import numpy as np
from keras import ops

from kerakit.explain.grid import check_grid, draw_grid
from kerakit.explain.layers_within import layers_within


@dataclasses.dataclass(frozen=True)
class Templates:
    """What a linear classifier compares an image with.

    Attributes:
        values: float32 (K, H, W, C) of 0 to 1: the pictures. A weight of 0 is 0.5, and the largest
            in size of all classes is 0 or 1, so that they can be compared.
        weights: float32 (K, H, W, C), the weights themselves.
        bias: float32 (K,).
    """

    values: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def plot(self, path=None, *, classes=None, most=64):
        """Draws the templates in a grid.

        Args:
            path: PNG to write, or None.
            classes: K names to stand above them, or None for their numbers.
            most: Draw the first so many.

        Returns:
            `matplotlib.figure.Figure`.

        Raises:
            ValueError: If there are not K names, or `most` is below 1.
        """
        count = len(self.values)
        check_grid(0, most, count)
        titles = list(range(count)) if classes is None else list(classes)
        if len(titles) != count:
            raise ValueError(f"`classes` must be {count} names, one a class, got {len(titles)}.")
        drawn = [value if value.shape[-1] == 3 else value.mean(axis=-1) for value in self.values]
        return draw_grid(drawn[:most], titles=titles[:most], wide=5, path=path)


def templates(model):
    """The weights of a linear classifier as pictures, one a class.

    A score is the inner product of the image with its class's weights, and the bias:
    `score_k = sum(weights[k] * image) + bias[k]`, largest for an image that looks like them. The
    image is what enters the dense layer: where layers before it normalise the pixels, the
    normalised ones.

    Args:
        model: Built Keras model whose only layer with weights, normalisation aside, is a Dense over
            all numbers of the flattened image: `kerakit.models.classification.linear_classifier`,
            or one of a user's own.

    Returns:
        `Templates`.

    Raises:
        ValueError: If the model is no linear classifier of images.

    Example:

    >>> layers = [keras.Input((2, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    >>> templates(keras.Sequential(layers)).weights.shape
    (4, 2, 3, 1)
    """
    shape = tuple(getattr(model, "input_shape", None) or ())[1:]
    dense = _only_dense(model)
    kernel = ops.convert_to_numpy(dense.kernel).astype(np.float32)
    if len(shape) != 3 or None in shape or len(kernel) != np.prod(shape):
        raise ValueError(
            f"`model` must have a weight for each number of an image (H, W, C) in {dense.name}, "
            f"got {len(kernel)} for inputs {shape}."
        )
    bias = np.zeros(kernel.shape[1]) if dense.bias is None else ops.convert_to_numpy(dense.bias)
    weights = kernel.T.reshape(-1, *shape)
    values = 0.5 + weights / (2.0 * (np.abs(weights).max() or 1.0))
    return Templates(values, weights, bias.astype(np.float32))


def _only_dense(model):
    weighted = [
        layer
        for layer in layers_within(model)
        if layer.weights
        and not layer._layers  # what is inside such a one comes by itself
        and not isinstance(layer, keras.layers.Normalization)
    ]
    if len(weighted) == 1 and isinstance(weighted[0], keras.layers.Dense):
        return weighted[0]
    told = ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in weighted[:4])
    more = f" and {len(weighted) - 4} more" if len(weighted) > 4 else ""
    raise ValueError(
        f"`model` must be a linear classifier, one Dense over the flattened image, and the layers "
        f"of {model.name} with weights are {told or 'none'}{more}. Of a network with convolutions "
        "`explain.filters` shows the first one's."
    )
