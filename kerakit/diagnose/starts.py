"""Zero, random, Xavier's and He's starts compared on one model."""

from dataclasses import dataclass

import keras
import numpy as np

from kerakit.diagnose.borrowed import borrowed, losses_of
from kerakit.diagnose.finding import Finding

# Losses of a few dozen steps differ between two draws of one start by some percent; a start is
# better for sure if it leaves less than two thirds of the loss.
BETTER = 0.67

_START_NAMES = ("as built", "zero", "normal 0.01", "xavier", "he")


@dataclass(frozen=True, kw_only=True)
class Starts:
    """What each start came to; printed, a table.

    Args:
        losses: Dict of a start's name to its loss at each step.
        finding: "better_start_exists", or None.
    """

    losses: dict[str, tuple[float, ...]]
    finding: Finding | None

    def last(self, name):
        """Mean loss of the last tenth of the steps; infinite where it was not finite.

        Args:
            name: Of a start, a key of `losses`.
        """
        return _last(self.losses[name])

    def __str__(self):
        lines = [f"{'start':12}  {'first loss':>10}  {'last loss':>10}"]
        for name, losses in self.losses.items():
            lines.append(f"{name:12}  {losses[0]:10.4g}  {self.last(name):10.4g}")
        return "\n".join(lines)


def compare_starts(model, x, y, *, steps=50, batch_size=32, seed=0):
    """Trains the model for some steps from each of five starts.

    "as built" are the weights it has; for the others the kernels of all dense and convolution
    layers are drawn again: zeros, N(0, 0.01^2), Xavier's (uniform) and He's (normal). Other
    weights start as built. The model is trained in place and then is as it was.

    Args:
        model: A built and compiled model that was not trained yet.
        x: Inputs (B, ...) as `fit` takes them.
        y: Targets.
        steps: Steps for each start.
        batch_size: Examples a step.
        seed: Of the draws and of the order of examples, the same for all.

    Returns:
        `Starts`.

    Raises:
        ValueError: If the model is not compiled or has no kernel, or `steps` is not positive.

    Reference:
        Glorot and Bengio, 2010, Eq. 16; He et al., 2015, Eq. 10. Deviations: none.
    """
    if steps < 1:
        raise ValueError(f"`steps` must be positive, got {steps}.")
    kernels = [
        layer.kernel
        for layer in model._flatten_layers(include_self=False)
        if isinstance(getattr(layer, "kernel", None), keras.Variable)
    ]
    if not kernels:
        raise ValueError("`model` must have layers with a kernel, got none.")
    losses = {}
    for name in _START_NAMES:
        with borrowed(model):
            for position, kernel in enumerate(kernels):
                if name != "as built":
                    kernel.assign(_initializer(name, seed + position)(kernel.shape))
            losses[name] = losses_of(model, x, y, steps=steps, batch_size=batch_size, seed=seed)
    return Starts(losses=losses, finding=_finding(losses))


def _initializer(name, seed):
    return {
        "zero": keras.initializers.Zeros(),
        "normal 0.01": keras.initializers.RandomNormal(stddev=0.01, seed=seed),
        "xavier": keras.initializers.GlorotUniform(seed=seed),
        "he": keras.initializers.HeNormal(seed=seed),
    }[name]


def _last(losses):
    tail = float(np.mean(losses[-max(1, len(losses) // 10) :]))
    return tail if np.isfinite(tail) else np.inf


def _finding(losses):
    last = {name: _last(values) for name, values in losses.items()}
    best = min(last, key=lambda name: last[name])
    if not last[best] < BETTER * last["as built"]:
        return None
    return Finding(
        rule="better_start_exists",
        severity="warning",
        message=f"From the start '{best}' the loss is {last[best]:.3g} after "
        f"{len(losses[best])} steps, from the model's own {last['as built']:.3g}.",
        evidence={"best": best, **last},
        advice="Use He's start for ReLU and Xavier's for tanh and sigmoid.",
    )
