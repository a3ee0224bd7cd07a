"""A schedule inside another: a `LearningRateSchedule`, or a number that stays."""

import math

import keras
from keras import ops

from kerakit.schedules.clock import float_type


def check_schedule(name, schedule):
    """Raises a ValueError if it is neither a schedule nor a number that is at least 0."""
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return
    if not isinstance(schedule, (int, float)) or not 0 <= schedule < math.inf:
        raise ValueError(
            f"`{name}` must be a LearningRateSchedule or a number that is at least 0, "
            f"got {schedule!r}."
        )


def rate_at(schedule, step):
    """The rate of a schedule or a constant at an integer step."""
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        schedule = schedule(step)
    return ops.cast(ops.convert_to_tensor(schedule), float_type())
