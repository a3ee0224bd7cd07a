"""A schedule's time: whole steps, or epochs of so many steps."""

import numbers

import keras
from keras import ops


def whole_step(step):
    """The step as an integer tensor, 0 for the first."""
    return ops.cast(step, "int64" if keras.backend.backend() == "tensorflow" else "int32")


def float_type():
    """The type in which rates are computed: `floatx`, and float32 at least."""
    return "float64" if keras.config.floatx() == "float64" else "float32"


def time_of(step, steps_per_epoch):
    """Steps as a float; in epochs, with their fraction, where `steps_per_epoch` is given."""
    time = ops.cast(whole_step(step), float_type())
    return time if steps_per_epoch is None else time / steps_per_epoch


def checked_steps_per_epoch(steps_per_epoch):
    """The same as a Python integer or None; a ValueError if it is not positive."""
    if steps_per_epoch is None:
        return None
    if not isinstance(steps_per_epoch, numbers.Integral) or steps_per_epoch < 1:
        raise ValueError(
            f"`steps_per_epoch` must be a positive integer or None, got {steps_per_epoch!r}."
        )
    return int(steps_per_epoch)


def steps_of(name, length, steps_per_epoch):
    """A length of time in whole steps, so that it is compared with steps exactly.

    Args:
        name: The argument that the length was given as, for the message.
        length: In steps, or in epochs where `steps_per_epoch` is given.
        steps_per_epoch: A positive integer or None.

    Returns:
        A positive Python integer.

    Raises:
        ValueError: If it is not positive, or not a whole number of steps.
    """
    steps = length * (steps_per_epoch or 1)
    whole = round(steps)
    if whole < 1 or abs(steps - whole) > 1e-6:
        unit = "steps" if steps_per_epoch is None else f"epochs of {steps_per_epoch} steps"
        raise ValueError(f"`{name}` must be a positive whole number of steps, got {length} {unit}.")
    return whole
