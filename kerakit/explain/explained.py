"""A model and images, with the one score of each image that is to be explained."""

import dataclasses

import keras
from keras import ops, tree

from kerakit.explain.calls import has_activation, is_activation, run
from kerakit.explain.flow import sources
from kerakit.explain.inputs import given
from kerakit.explain.targets import Chosen, answer, choose
from kerakit.gradients import gradient

# A power of two, which changes no digit, so that small gradients do not vanish in float16.
_SCALE = 1024.0


@dataclasses.dataclass(frozen=True)
class Explained:
    """What `explained` finds out by running a model.

    Attributes:
        model: The model.
        inputs: What it takes.
        pixels: (B, H, W, C) or (B, T, H, W, C) float32, the images among the inputs.
        outputs: What it returned.
        calls: List of `Called`.
        bare: The last call, if it ends in a softmax or sigmoid that is left out.
        chosen: `Chosen`.
        scores: (B,) float32.
    """

    model: keras.Model
    inputs: object
    pixels: object
    outputs: object
    calls: list
    bare: object
    chosen: Chosen
    scores: object

    def sources(self, stop=lambda called: False):
        """The calls that the scores come from, see `kerakit.explain.flow.sources`."""
        if self.chosen.of_all:
            return self.calls
        return sources(self.calls, answer(self.outputs), inputs=self.inputs, stop=stop)

    def by_pixels(self, pixels):
        """Gradient of the scores by the pixels, at these ones."""

        def score(pixels):
            return self.chosen.score(run(self.model, self._with(pixels), bare=self.bare)) * _SCALE

        return gradient(score, pixels)[0] / _SCALE

    def by_maps(self, maps):
        """Gradients of the scores by what some calls return.

        Args:
            maps: Pairs of a `Called` and the tensors that it returned.

        Returns:
            List of float32 gradients for each pair.
        """
        zeros = [ops.zeros_like(x, dtype="float32") for _, tensors in maps for x in tensors]

        def score(*deltas):
            rest = iter(deltas)
            added = [(called, [next(rest) for _ in tensors]) for called, tensors in maps]
            outputs = run(self.model, self.inputs, added=added, bare=self.bare)
            return self.chosen.score(outputs) * _SCALE

        slopes = iter(gradient(score, *zeros))
        return [[next(slopes) / _SCALE for _ in tensors] for _, tensors in maps]

    def _with(self, pixels):
        return tree.map_structure(lambda x: pixels if x is self.pixels else x, self.inputs)


def explained(model, images, target):
    """Runs a model on images and settles which scores are explained.

    Args:
        model: Keras model.
        images: (B, H, W, C) or (B, T, H, W, C) raw pixels, or for a model of several inputs the
            dict or list of them, as of `kerakit.explain.inputs.given`.
        target: As of `kerakit.explain.grad_cam`.

    Returns:
        `Explained`.

    Raises:
        ValueError: If the images are no batch, or the target does not suit the model.
    """
    inputs, pixels = given(images)
    if len(pixels.shape) not in (4, 5):
        raise ValueError(
            "`images` must be a batch (B, H, W, C), or (B, T, H, W, C) of clips, got the shape "
            f"{tuple(pixels.shape)}."
        )
    if not model.built:
        model(inputs)
    calls = []
    outputs = run(model, inputs, calls=calls)
    bare = _last_activation(calls, answer(outputs))
    if bare is not None:
        calls = []
        outputs = run(model, inputs, calls=calls, bare=bare)
    chosen = choose(target, outputs)
    scores = chosen.score(outputs)
    return Explained(model, inputs, pixels, outputs, calls, bare, chosen, scores)


def _last_activation(calls, output):
    """The call that made the output, if it ends in a softmax or sigmoid."""
    found = None
    if output is None:  # of several answers none is without its activation
        return None
    for position, called in enumerate(calls):
        if called.output is output and not isinstance(called.operation, keras.Model):
            found = position
            break
    # Behind it there may be one that only casts.
    while found and is_activation(calls[found]) and not has_activation(calls[found]):
        found -= 1
    return calls[found] if found is not None and has_activation(calls[found]) else None
