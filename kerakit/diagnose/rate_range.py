"""The learning rates at which a model learns: a range test."""

import itertools
from dataclasses import dataclass

import numpy as np

from kerakit.diagnose.borrowed import batches, borrowed, step
from kerakit.extras import need

# Weight of the past in the running mean of the losses.
SMOOTHING = 0.9
# The test ends where the smoothed loss is so many times the lowest.
DIVERGED = 4.0
# The rate of the lowest loss is already at the edge; a tenth of it is safe.
BELOW_LOWEST = 0.1


@dataclass(frozen=True, kw_only=True)
class RateRange:
    """What a range test found; `plot` draws it.

    Args:
        rates: Learning rate of each step.
        losses: Loss of each step.
        smoothed: Its running mean, corrected for the start.
        suggested: A rate to train with: a tenth of that of the lowest smoothed loss; None if
            the loss never fell.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggested: float | None

    def plot(self, path=None):
        """Draws losses over rates.

        Args:
            path: PNG file to write, or None.

        Returns:
            The figure of matplotlib.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        figure_module = need("matplotlib.figure", extra="plot")
        figure = figure_module.Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="0.75", label="each step")
        axes.plot(self.rates, self.smoothed, color="C0", label="smoothed")
        if self.suggested is not None:
            label = f"suggested: {self.suggested:.2g}"
            axes.axvline(self.suggested, color="C1", linestyle="--", label=label)
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        # Where it diverges the loss may be a thousand times the rest.
        low, high = min(self.smoothed), max(self.smoothed[0], min(self.smoothed))
        margin = 0.5 * (high - low) or 0.5 * high or 1.0
        axes.set_ylim(low - 0.3 * margin, high + margin)
        axes.legend()
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure


def learning_rate_range(model, x, y, *, lowest=1e-6, highest=1.0, steps=100, batch_size=32, seed=0):
    """Trains with a learning rate that grows from step to step, and sees where the loss falls.

    The rate grows by a constant factor; the test ends early where the loss diverges. The model
    is trained in place, with a fresh optimizer, and then is as it was.

    Args:
        model: A built and compiled model.
        x: Inputs (B, ...) as `fit` takes them.
        y: Targets.
        lowest: First learning rate; positive.
        highest: Last learning rate; above `lowest`.
        steps: How many steps, at least 2.
        batch_size: Examples a step.
        seed: Of the order of examples.

    Returns:
        A `RateRange`.

    Raises:
        ValueError: If the model is not compiled or the numbers are out of their ranges.

    Reference:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3.
        Deviations: the rate grows exponentially, not linearly, as it spans six decades; the
        loss is watched, not the accuracy.
    """
    if not 0 < lowest < highest:
        raise ValueError(f"`lowest` must be in (0, highest), got {lowest} and {highest}.")
    if steps < 2:
        raise ValueError(f"`steps` must be at least 2, got {steps}.")
    rates, losses, smoothed, mean = [], [], [], 0.0
    with borrowed(model, learning_rate=lowest):
        several = itertools.islice(batches(x, y, batch_size=batch_size, seed=seed), steps)
        for position, batch in enumerate(several):
            rate = lowest * (highest / lowest) ** (position / (steps - 1))
            model.optimizer.learning_rate = rate
            loss = step(model, *batch)
            if not np.isfinite(loss):
                break
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            rates.append(rate)
            losses.append(loss)
            smoothed.append(mean / (1 - SMOOTHING ** (position + 1)))
            if smoothed[-1] > DIVERGED * min(smoothed):
                break
    best = int(np.argmin(smoothed)) if smoothed else 0
    fell = bool(smoothed) and smoothed[best] < 0.95 * smoothed[0]
    return RateRange(
        rates=tuple(rates),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        suggested=BELOW_LOWEST * rates[best] if fell else None,
    )
