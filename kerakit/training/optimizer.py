"""The optimizer of a recipe, by its settings."""

import keras

from kerakit.errors import InputError
from kerakit.optimizers import SGD
from kerakit.training.rate import falling_rate
from kerakit.training.strategy import replicas


def optimizer_of(config, *, steps_per_epoch):
    """The optimizer that a recipe's settings ask for, with its rate over the whole training.

    Within a strategy's scope it is for that strategy's replicas.

    Args:
        config: Settings: `optimizer`, `schedule`, `learning_rate`, `momentum`, `weight_decay`,
            `ema` and `accumulate` as in `optimizer` and `falling_rate`, `epochs` and
            `warmup_epochs`.
        steps_per_epoch: Batches of an epoch.

    Returns:
        `keras.optimizers.Optimizer`.

    Raises:
        InputError: If there is to be accumulated, and by several replicas: Keras cannot.
    """
    if config.accumulate > 1 and replicas() > 1:
        raise InputError(
            f"--accumulate {config.accumulate} works on one device only, and here are "
            f"{replicas()}; leave it out, or give --devices cpu."
        )
    rate = falling_rate(
        config.schedule,
        peak=config.learning_rate,
        steps=config.epochs * steps_per_epoch,  # Keras counts steps here, not updates
        warm_up=round(config.warmup_epochs * steps_per_epoch),
    )
    return optimizer(
        config.optimizer,
        rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        ema=config.ema,
        accumulate=config.accumulate,
    )


def optimizer(name, rate, *, momentum=0.9, weight_decay=0.0, ema=0.0, accumulate=1):
    """SGD with momentum and coupled decay, or AdamW.

    Args:
        name: "sgd" or "adamw".
        rate: Learning rate, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Momentum of SGD, in [0, 1).
        weight_decay: Coupled in SGD, a part of the rate in AdamW; 0: none.
        ema: Momentum of the weights' running average that is kept besides; 0: none is. With
            `accumulate` it is that of an update, too.
        accumulate: Steps whose gradients are averaged for one update, which is then that of a
            batch so many times as large, but for what a layer computes of a whole batch, as
            batch normalization does. Steps left over at the very end change nothing.

    Returns:
        `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If there is no such optimizer, or `accumulate` is below 1.

    Example:

    >>> optimizer("adamw", 1e-3, weight_decay=1e-2).weight_decay
    0.01
    """
    if not accumulate >= 1:
        raise ValueError(f"`accumulate` must be at least 1, got {accumulate}.")
    common = {
        "use_ema": ema > 0,
        # Keras averages at each step, also where the weights stay as they are.
        "ema_momentum": ema ** (1 / accumulate),
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
    }
    if name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=float(weight_decay), **common)
    if name == "sgd":
        return SGD(rate, momentum=momentum, weight_decay=weight_decay or None, **common)
    raise ValueError(f"`name` must be 'sgd' or 'adamw', got {name!r}.")
