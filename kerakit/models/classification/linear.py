"""A linear classifier: one weight a pixel and class."""

import keras
import numpy as np
from keras import layers, ops

from kerakit.extras import need
from kerakit.models.family import check_classifier
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize


def linear_classifier(
    *,
    input_shape=(28, 28, 1),
    num_classes=10,
    normalization="image_max",
    name="linear_classifier",
):
    """Scores that are linear in the pixels: `f(x) = W x + b`.

    With `kerakit.losses.MulticlassHinge` it becomes a support vector machine, with cross-entropy
    a logistic regression. Each class's weights are a picture, of which `templates` shows what
    adds to its score.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255, or (D,) of features.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`; None for
            features.
        name: Name of the model.

    Returns:
        `keras.Model` to (B, K) scores, with `(D + 1) K` parameters, D = H W C.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_classifier(num_classes)
    if len(input_shape) not in (1, 3):
        raise ValueError(f"`input_shape` must be (H, W, C) or (D,), got {tuple(input_shape)}.")
    if len(input_shape) == 1 and normalization is not None:
        raise ValueError(f"`normalization` must be None for features, got {normalization!r}.")
    images = keras.Input(input_shape, name="images")
    x = layers.Flatten(name="flatten")(normalize(images, normalization))
    scores = layers.Dense(num_classes, dtype=logits_dtype(), name="scores")(x)
    return keras.Model(images, scores, name=name)


def templates(model):
    """The weights of a linear classifier as pictures, one a class.

    A score is the inner product of the image with its class's weights, which is largest for an
    image that looks like them. A weight of 0 becomes grey, 127.5; the largest of all weights in
    size becomes 0 or 255.

    Args:
        model: A `linear_classifier` of images.

    Returns:
        (K, H, W, C) float32 array, 0..255.

    Raises:
        ValueError: If the model takes no images or has no layer `scores` over all pixels.

    Example:

    >>> model = linear_classifier(input_shape=(1, 2, 1), num_classes=2, normalization=None)
    >>> model.get_layer("scores").set_weights([np.array([[1.0, 0.0], [-1.0, 0.5]]), np.zeros(2)])
    >>> templates(model).reshape(2, 2).tolist()
    [[255.0, 0.0], [127.5, 191.25]]
    """
    shape = tuple(model.input_shape[1:])
    names = [layer.name for layer in model.layers]
    if len(shape) != 3 or "scores" not in names:
        raise ValueError(
            f"`model` must be a linear classifier of images (H, W, C), got {model.name!r} with "
            f"inputs {shape}."
        )
    weights = ops.convert_to_numpy(model.get_layer("scores").kernel)
    if len(weights) != np.prod(shape):
        raise ValueError(
            f"`model` must have a weight for each of the {np.prod(shape)} pixels in its layer "
            f"'scores', got {len(weights)}."
        )
    largest = np.abs(weights).max() or 1.0
    pictures = (weights.T / largest + 1.0) * 127.5
    return pictures.reshape(-1, *shape).astype("float32")


def plot_templates(model, classes):
    """Draws the `templates` of a linear classifier side by side.

    Args:
        model: A `linear_classifier` of images of 1 or 3 channels.
        classes: K names.

    Returns:
        A `matplotlib.figure.Figure`, which no window holds: `figure.savefig(path)`.

    Raises:
        ValueError: If the model is no linear classifier of images, or has another number of
            classes.
    """
    pictures = templates(model)
    if len(classes) != len(pictures):
        raise ValueError(
            f"`classes` must be {len(pictures)} names, one a class, got {len(classes)}."
        )
    wide = min(5, len(pictures))
    high = -(-len(pictures) // wide)
    figure = need("matplotlib.figure", extra="plot").Figure(
        figsize=(1.9 * wide, 2.15 * high), layout="constrained"
    )
    for number, (picture, name) in enumerate(zip(pictures, classes, strict=True)):
        axes = figure.add_subplot(high, wide, number + 1)
        pixels = picture[..., 0] if picture.shape[-1] == 1 else picture / 255.0
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        axes.set_title(str(name), fontsize=9)
        axes.set_axis_off()
    return figure
