"""How a classifier explains itself, in its run's report and in its export."""

import numpy as np

from kerakit import explain
from kerakit.errors import InputError


def explanation_of(model):
    """The explanation that suits a classifier.

    Args:
        model: Keras model of images.

    Returns:
        `kerakit.explain.grad_cam` or, for a transformer, `kerakit.explain.attention_rollout`.

    Raises:
        InputError: If the model has neither maps nor attention.
    """
    nothing = np.zeros((1, *model.input_shape[1:]), np.float32)
    for function in (explain.grad_cam, explain.attention_rollout):
        try:
            function(model, nothing)
        except ValueError:
            continue
        return function
    raise InputError(
        f"--explain needs a network with convolutions or attention, and {model.name} has neither."
    )


def draw_explanation(function, model, images, *, classes, path):
    """Draws images, each beside itself under its heat map.

    Args:
        function: As of `explanation_of`.
        model: Keras model.
        images: (B, H, W, C) prepared pixels.
        classes: Names of the classes.
        path: Picture to write, `.png`.
    """
    pixels = np.asarray(images, np.float32)
    function(model, pixels).plot(path, most=len(pixels), names=classes)
