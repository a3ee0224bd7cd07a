"""The learning rate of a whole training, by name."""

import math

import keras

from kerakit.schedules import ExponentialDecay, InverseTimeDecay, StepDecay, Warmup

SCHEDULES = ("cosine", "step", "exponential", "inverse-time", "polynomial", "constant")


def falling_rate(schedule, *, peak, steps, warm_up=0):
    """A rate that rises from 0, then falls to about a hundredth at the end.

    Args:
        schedule: `"cosine"`; `"step"`, by tenths at a third and at two thirds of the way;
            `"exponential"`; `"inverse-time"`; `"polynomial"`, by the remaining share of the
            steps to the power 0.9; or `"constant"`, which does not fall.
        peak: Rate at its highest.
        steps: Steps of the whole training.
        warm_up: Steps in which it rises, linearly.

    Returns:
        Float or `keras.optimizers.schedules.LearningRateSchedule`.

    Raises:
        ValueError: If there is no such schedule.

    Example:

    >>> rate = falling_rate("step", peak=1.0, steps=300, warm_up=10)
    >>> [round(float(rate(step)), 3) for step in (5, 50, 150, 250)]
    [0.5, 1.0, 0.1, 0.01]
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}, got {schedule!r}.")
    falling = {
        "cosine": lambda: keras.optimizers.schedules.CosineDecay(peak, steps, alpha=0.01),
        "step": lambda: StepDecay(peak, every=math.ceil(steps / 3)),
        "exponential": lambda: ExponentialDecay(peak, rate=math.log(100) / steps),
        "inverse-time": lambda: InverseTimeDecay(peak, rate=99 / steps),
        "polynomial": lambda: keras.optimizers.schedules.PolynomialDecay(
            peak, steps, end_learning_rate=peak / 100, power=0.9
        ),
        "constant": lambda: peak,
    }[schedule]()
    return Warmup(falling, length=warm_up) if warm_up else falling
