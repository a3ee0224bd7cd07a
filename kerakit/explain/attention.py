"""Where a transformer's tokens look: the weights of its attention layers."""

import contextlib
import dataclasses
import math

import numpy as np
from keras import StatelessScope, layers, ops

from kerakit.explain.grid import check_grid, draw_grid, shown
from kerakit.explain.inputs import given
from kerakit.explain.layers_within import layers_within
from kerakit.layers import PatchEmbedding
from kerakit.watching import watching

_ATTENTION = (layers.MultiHeadAttention, layers.GroupQueryAttention, layers.Attention)


@dataclasses.dataclass(frozen=True)
class AttentionMaps:
    """The weights of each attention layer.

    Attributes:
        weights: For each layer, by its path and in the order of the calls, float32 (B, heads,
            queries, keys), whose rows sum to 1. A layer that attends within n parts of an example,
            as over time and over space in turn, has (B, n, heads, queries, keys). Where one layer
            is called again the path ends in "#2" and so on.
        images: The images, (B, H, W, C) or (B, T, H, W, C).
        grid: (rows, columns) of the tokens, (frames, rows, columns) of a clip's, or None where the
            model is not known to have such.
    """

    weights: dict
    images: np.ndarray
    grid: tuple | None

    def plot(self, path=None, *, example=0, layer=None, most=16):
        """Draws an image, and what each head of one layer looks at in it.

        Of tokens on a grid it is where the class token looks or, without one, the tokens' mean;
        of others the whole matrix, a row a query. Each is scaled by its own largest.

        Args:
            path: PNG to write, or None.
            example: Number of the image.
            layer: One of `weights`; None for the last one.
            most: Draw the first so many heads.

        Returns:
            `matplotlib.figure.Figure`.

        Raises:
            ValueError: If there is no such example or layer, or `most` is below 1.
        """
        check_grid(example, most, len(self.images))
        names = list(self.weights)
        layer = names[-1] if layer is None else layer
        if layer not in self.weights:
            raise ValueError(f"`layer` must be one of {', '.join(names)}, got {layer!r}.")
        heads = self.weights[layer][example]
        heads = heads.mean(axis=0) if heads.ndim == 4 else heads
        grid = self.grid or ()
        count = math.prod(grid)
        if len(grid) == 2 and 0 <= heads.shape[-1] - count <= _EXTRA:
            heads = np.asarray(looked_at(heads, count)).reshape(-1, *grid)
        panels = [head / max(float(head.max()), 1e-12) for head in heads[:most]]
        titles = [f"head {number}" for number in range(len(panels))]
        if self.images.ndim == 4:
            panels, titles = [shown(self.images[example]), *panels], ["image", *titles]
        return draw_grid(panels, titles=titles, colors="viridis", heading=layer, path=path)


# Tokens besides the patches: of class, of distillation, registers.
_EXTRA = 8


def attention_maps(model, images):
    """The weights by which each token takes from the others, in every attention layer.

    Seen are Keras's `MultiHeadAttention`, `GroupQueryAttention`, `Attention` and
    `AdditiveAttention`, wherever they are in the model. While they are read they do without fused
    kernels and flash attention, which keep no weights; the model is as before afterwards.

    Args:
        model: Built Keras model.
        images: As of `kerakit.explain.grad_cam`.

    Returns:
        `AttentionMaps`.

    Raises:
        ValueError: If the model has no attention layer.

    Example:

    >>> from keras import Input, Model
    >>> tokens = Input((5, 8))
    >>> block = layers.MultiHeadAttention(2, 4, name="attention")
    >>> model = Model(tokens, block(tokens, tokens))
    >>> maps = attention_maps(model, np.ones((3, 5, 8)))
    >>> maps.weights["attention"].shape
    (3, 2, 5, 5)
    """
    inputs, pixels = given(images)
    found, batch = {}, pixels.shape[0]
    for layer, weights in calls_of_attention(model, inputs):
        if len(weights) != batch:
            weights = ops.reshape(weights, (batch, -1, *weights.shape[1:]))
        name = path = layer.path or layer.name
        again = 1
        while name in found:
            again += 1
            name = f"{path}#{again}"
        found[name] = ops.convert_to_numpy(weights)
    images = ops.convert_to_numpy(pixels)
    tokens = max(weights.shape[-1] for weights in found.values())
    return AttentionMaps(found, images, token_grid(model, images.shape[1:-1], tokens))


def calls_of_attention(model, inputs):
    """(layer, float32 tensor of its weights, heads on axis 1) for each call, in their order.

    Raises:
        ValueError: If there is none.
    """
    calls = []

    def handler(call, operation, arguments, options, *, of_graph):
        del of_graph
        if not isinstance(operation, _ATTENTION):
            return call(operation, *arguments, **options)
        with _keeping_weights(operation):
            asked = {**options, "return_attention_scores": True}
            output, weights = call(operation, *arguments, **asked)
        has_heads = not isinstance(operation, layers.Attention)
        kept = weights if has_heads else ops.expand_dims(weights, 1)
        calls.append((operation, ops.cast(kept, "float32")))
        return (output, weights) if options.get("return_attention_scores") else output

    # A call that has no such argument is for inference anyway.
    options = {"training": False} if model._call_has_training_arg else {}
    with StatelessScope(), watching(handler):
        model(inputs, **options)
    if not calls:
        raise ValueError(
            f"`model` must have an attention layer, and {model.name} calls none of Keras's; "
            "`explain.grad_cam` is for networks with convolutions."
        )
    return calls


@contextlib.contextmanager
def _keeping_weights(layer):
    """Lets a layer give its weights though it was made with flash attention."""
    flash = getattr(layer, "_flash_attention", None)
    if not flash:
        yield
        return
    layer._flash_attention = False  # there is no public way once it is made
    try:
        yield
    finally:
        layer._flash_attention = flash


def token_grid(model, extent, tokens):
    """How the tokens lie in an image or clip.

    Args:
        model: Keras model.
        extent: (H, W) of an image, (T, H, W) of a clip.
        tokens: Number of tokens, with those besides the patches.

    Returns:
        (rows, columns) or (frames, rows, columns): what a `PatchEmbedding` cuts or, without one,
        as many rows and columns as stand to each other as the image's sides. None if none fits.
    """
    for layer in layers_within(model):
        if isinstance(layer, PatchEmbedding) and len(layer.patch_size) == len(extent):
            return tuple(n // p for n, p in zip(extent, layer.patch_size, strict=True))
    if len(extent) != 2:
        return None
    divisor = math.gcd(*extent)
    rows, columns = extent[0] // divisor, extent[1] // divisor
    for patches in (tokens, tokens - 1):
        times = math.isqrt(patches // (rows * columns))
        if times and times * times * rows * columns == patches:
            return rows * times, columns * times
    return None


def looked_at(weights, count):
    """Weights (..., tokens, tokens) to what the image's answer takes from the last `count` tokens.

    That is the row of the first token, where there are others than those, or all rows' mean.
    """
    extra = weights.shape[-1] - count
    return weights[..., 0, extra:] if extra else ops.mean(weights, axis=-2)
