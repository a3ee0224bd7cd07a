"""A linear start before any schedule."""

import math

import keras
from keras import ops

from kerakit.schedules.clock import checked_steps_per_epoch, float_type, steps_of, whole_step
from kerakit.schedules.nested import check_schedule, rate_at


@keras.saving.register_keras_serializable(package="kerakit")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then any schedule, which is not shifted.

    For t < `length` the rate is `start + (schedule(length) - start) t / length`, and
    `schedule(t)` from then on, so that there is no jump. The schedule's own time runs
    from the first step on: a drop set for epoch 30 comes in epoch 30, as in the paper.
    For a schedule whose time starts after the warm-up, write
    `Join([Warmup(0.1, length=500), StepDecay(0.1, every=3000)], boundaries=[500])`.

    Keras has a warm-up in `keras.optimizers.schedules.CosineDecay` alone.

    Args:
        schedule: A `LearningRateSchedule` of kerakit's or Keras's, or a number.
        length: A positive whole number of steps; in epochs where `steps_per_epoch` is
            given. It says nothing about the unit of `schedule`, which has its own.
        start: Rate of the first step, at least 0.
        steps_per_epoch: Batches in an epoch, a positive integer, or None.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017,
        Section 2.2 (gradual warm-up). Deviations: none.

    Example:

    >>> from kerakit.schedules import StepDecay
    >>> schedule = Warmup(StepDecay(0.1, every=10), length=4)
    >>> [round(float(schedule(step)), 4) for step in (0, 1, 4, 9, 10)]
    [0.0, 0.025, 0.1, 0.1, 0.01]
    """

    def __init__(self, schedule, *, length, start=0.0, steps_per_epoch=None):
        check_schedule("schedule", schedule)
        if not 0 <= start < math.inf:
            raise ValueError(f"`start` must be at least 0, got {start}.")
        self.steps_per_epoch = checked_steps_per_epoch(steps_per_epoch)
        self._steps = steps_of("length", length, self.steps_per_epoch)
        self.schedule = schedule
        self.length = length
        self.start = float(start)

    def __call__(self, step):
        step = whole_step(step)
        fraction = ops.cast(ops.minimum(step, self._steps), float_type()) / self._steps
        # The schedule is asked for no step before the end of the warm-up.
        after = rate_at(self.schedule, ops.maximum(step, self._steps))
        return ops.where(fraction < 1, self.start + (after - self.start) * fraction, after)

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "length": self.length,
            "start": self.start,
            "steps_per_epoch": self.steps_per_epoch,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})
