"""Heat maps of the pixels themselves: the gradient of a score by each of them."""

import numpy as np
from keras import ops

from kerakit.explain.explained import explained
from kerakit.explain.heat_map import HeatMap, with_values


def saliency(model, images, *, target=None):
    """How fast a score changes with each pixel: the largest `|ds / dx|` of its channels.

    It works for any model, with convolutions or without, and is as sharp and as noisy as the
    gradient is; `smooth_grad` is calmer.

    Args:
        model: As of `kerakit.explain.grad_cam`.
        images: As of `kerakit.explain.grad_cam`.
        target: As of `kerakit.explain.grad_cam`.

    Returns:
        `HeatMap` of values at least 0, in score a grey level of raw pixels.

    Raises:
        ValueError: If the target does not suit the model, or the images are no batch.

    Reference:
        Simonyan, Vedaldi and Zisserman, Deep Inside Convolutional Networks: Visualising Image
        Classification Models and Saliency Maps, 2014, Section 3.1. Deviations: none.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, name="scores")])
    >>> model.set_weights([np.array([[1.0, -3.0], [2.0, 0.5]]), np.zeros(2)])
    >>> saliency(model, np.ones((1, 1, 2, 1)), target=1).values.tolist()
    [[[3.0, 0.5]]]
    """
    found = explained(model, images, target)
    return _map_of(found, found.by_pixels(found.pixels))


def smooth_grad(model, images, *, target=None, samples=25, noise=0.15, seed=0):
    """SmoothGrad: the gradient averaged over noisy copies of the image, then as `saliency`.

    The class that is explained is that of the image without noise. The noise is the same for all
    images but for its strength, so that an image's map does not depend on the others of its batch.

    Args:
        model: As of `kerakit.explain.grad_cam`.
        images: As of `kerakit.explain.grad_cam`, their height and width known.
        target: As of `kerakit.explain.grad_cam`; not a detection, whose rank noise may change.
        samples: Noisy copies, at least 1.
        noise: Standard deviation of the Gaussian noise as a share of each image's range, its
            largest pixel less its least; at least 0.
        seed: Of the noise.

    Returns:
        `HeatMap` of values at least 0.

    Raises:
        ValueError: As `saliency`, or if `samples` or `noise` is out of its range.

    Reference:
        Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, Section 2.1 (10 to 20 %
        of noise). Deviations: none.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2)])
    >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> smooth = smooth_grad(model, image, target=0, samples=3)  # of a linear model nothing new
    >>> bool(np.allclose(smooth.values, saliency(model, image, target=0).values))
    True
    """
    if not isinstance(samples, int) or samples < 1:
        raise ValueError(f"`samples` must be a positive integer, got {samples!r}.")
    if noise < 0:
        raise ValueError(f"`noise` must be at least 0, got {noise}.")
    found = explained(model, images, target)
    pixels, total = found.pixels, 0.0
    places = tuple(range(1, len(pixels.shape)))
    span = ops.max(pixels, places, keepdims=True) - ops.min(pixels, places, keepdims=True)
    draw = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = draw.standard_normal(pixels.shape[1:], "float32")
        total = total + found.by_pixels(pixels + noise * span * drawn)
    return _map_of(found, total / samples)


def _map_of(found, slopes):
    return HeatMap(
        with_values(ops.max(ops.abs(slopes), axis=-1)),
        with_values(found.pixels),
        scores=with_values(found.scores),
        classes=None if found.chosen.classes is None else with_values(found.chosen.classes),
        boxes=None if found.chosen.boxes is None else with_values(found.chosen.boxes),
    )
