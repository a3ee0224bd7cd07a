"""The optimizer of a recipe, by name."""

import keras

from kerakit.optimizers import SGD


def optimizer(name, rate, *, momentum=0.9, weight_decay=0.0, ema=0.0):
    """SGD with momentum and coupled decay, or AdamW.

    Args:
        name: "sgd" or "adamw".
        rate: Learning rate, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Momentum of SGD, in [0, 1).
        weight_decay: Coupled in SGD, a part of the rate in AdamW; 0: none.
        ema: Momentum of the weights' running average that is kept besides; 0: none is.

    Returns:
        `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If there is no such optimizer.

    Example:

    >>> optimizer("adamw", 1e-3, weight_decay=1e-2).weight_decay
    0.01
    """
    common = {
        "weight_decay": weight_decay or None,
        "use_ema": ema > 0,
        "ema_momentum": ema,
    }
    if name == "adamw":
        return keras.optimizers.AdamW(rate, **common)
    if name == "sgd":
        return SGD(rate, momentum=momentum, **common)
    raise ValueError(f"`name` must be 'sgd' or 'adamw', got {name!r}.")
