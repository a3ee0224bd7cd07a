"""Schedules one after another."""

import keras
from keras import ops

from kerakit.schedules.clock import checked_steps_per_epoch, steps_of, whole_step
from kerakit.schedules.nested import check_schedule, rate_at


@keras.saving.register_keras_serializable(package="kerakit")
class Join(keras.optimizers.schedules.LearningRateSchedule):
    """Schedules one after another, each with its own time from 0.

    Before `boundaries[0]` the rate is that of the first schedule; from `boundaries[i]`
    on it is `schedules[i + 1](t - boundaries[i])`. Keras joins constants only:
    `PiecewiseConstantDecay`, which changes one step later (its boundary is the last
    step of the old value, here it is the first of the new).

    Args:
        schedules: Each a `LearningRateSchedule` of kerakit's or Keras's, or a number; at
            least one.
        boundaries: One fewer than schedules, rising: positive whole numbers of steps;
            in epochs where `steps_per_epoch` is given. They say nothing about the
            units of the schedules, which have their own.
        steps_per_epoch: Batches in an epoch, a positive integer, or None.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        None: a plain combination.

    Example:

    >>> from kerakit.schedules import ExponentialDecay
    >>> schedule = Join([0.1, ExponentialDecay(0.05, rate=0.5)], boundaries=[3])
    >>> [round(float(schedule(step)), 4) for step in (0, 2, 3, 5)]
    [0.1, 0.1, 0.05, 0.0184]
    """

    def __init__(self, schedules, *, boundaries, steps_per_epoch=None):
        for index, schedule in enumerate(schedules):
            check_schedule(f"schedules[{index}]", schedule)
        if len(schedules) != len(boundaries) + 1:
            raise ValueError(
                f"`boundaries` must be one fewer than `schedules`, got {len(boundaries)} "
                f"and {len(schedules)}."
            )
        self.steps_per_epoch = checked_steps_per_epoch(steps_per_epoch)
        self._starts = [
            steps_of(f"boundaries[{index}]", boundary, self.steps_per_epoch)
            for index, boundary in enumerate(boundaries)
        ]
        if self._starts != sorted(set(self._starts)):
            raise ValueError(f"`boundaries` must rise, got {list(boundaries)}.")
        self.schedules = list(schedules)
        self.boundaries = list(boundaries)

    def __call__(self, step):
        step = whole_step(step)
        rate = rate_at(self.schedules[0], step)
        for schedule, start in zip(self.schedules[1:], self._starts, strict=True):
            # All are computed, so none may be asked for a time before its own 0.
            later = rate_at(schedule, ops.maximum(step - start, 0))
            rate = ops.where(step >= start, later, rate)
        return rate

    def get_config(self):
        return {
            "schedules": [keras.saving.serialize_keras_object(s) for s in self.schedules],
            "boundaries": self.boundaries,
            "steps_per_epoch": self.steps_per_epoch,
        }

    @classmethod
    def from_config(cls, config):
        schedules = [keras.saving.deserialize_keras_object(s) for s in config["schedules"]]
        return cls(**{**config, "schedules": schedules})
