"""Three decays: in steps, exponential, and as 1 / t."""

import math

import keras
from keras import ops

from kerakit.schedules.clock import (
    checked_steps_per_epoch,
    float_type,
    steps_of,
    time_of,
    whole_step,
)


class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """What the three share: where they start, and whether t is in steps or epochs."""

    def __init__(self, initial_learning_rate, *, steps_per_epoch=None):
        if not 0 < initial_learning_rate < math.inf:
            raise ValueError(
                f"`initial_learning_rate` must be positive, got {initial_learning_rate}."
            )
        self.initial_learning_rate = float(initial_learning_rate)
        self.steps_per_epoch = checked_steps_per_epoch(steps_per_epoch)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
        }


@keras.saving.register_keras_serializable(package="kerakit")
class StepDecay(Decay):
    """Step decay: the rate is multiplied by `gamma` each time `every` has passed.

    `lr = lr_0 gamma^floor(t / s)`. The floor is taken of integers and so is right for
    every t. `keras.optimizers.schedules.ExponentialDecay(staircase=True)` divides in
    float32: from t = 2^24 on it can drop a step early (with s = 16,777,217 at
    t = 16,777,216), and its power loses digits: over 0 to 5,000 drops by 0.99 it is off
    by up to 4.9e-5 of the rate, against at most 2.3e-6 here.

    Args:
        initial_learning_rate: Positive.
        every: s, the time between two drops: a positive whole number of steps; in
            epochs where `steps_per_epoch` is given (then a fraction of an epoch may be
            a whole number of steps).
        gamma: In (0, 1], the factor of each drop.
        steps_per_epoch: Batches in an epoch, a positive integer: times are in epochs.
            None: times are in steps.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016,
        Section 3.4 (divided by 10 when the error plateaus; here at set times).

    Example:

    >>> schedule = StepDecay(0.1, every=30, steps_per_epoch=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 2999, 3000, 6000)]
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, initial_learning_rate, *, every, gamma=0.1, steps_per_epoch=None):
        super().__init__(initial_learning_rate, steps_per_epoch=steps_per_epoch)
        if not 0 < gamma <= 1:
            raise ValueError(f"`gamma` must be in (0, 1], got {gamma}.")
        self._period = steps_of("every", every, self.steps_per_epoch)
        self.every = every
        self.gamma = float(gamma)

    def __call__(self, step):
        drops = ops.cast(ops.floor_divide(whole_step(step), self._period), float_type())
        # An exponential keeps the digits that a float32 power of gamma loses.
        return self.initial_learning_rate * ops.exp(drops * math.log(self.gamma))

    def get_config(self):
        return {**super().get_config(), "every": self.every, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="kerakit")
class ExponentialDecay(Decay):
    """Exponential decay of the learning rate: `lr = lr_0 e^(-k t)`.

    `keras.optimizers.schedules.ExponentialDecay(lr_0, 1, math.exp(-k))` is the same
    formula, but raises a rounded base to a large power: for k = 1e-5 it is 1.4 % too
    low at t = 10^6, where this one is right to 1e-6. It has no epochs either.

    Args:
        initial_learning_rate: Positive.
        rate: k, at least 0: the rate falls by 63 % in a time of 1 / k.
        steps_per_epoch: Batches in an epoch, a positive integer: t is in epochs, and
            moves on by a fraction with each step. None: t is in steps.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Senior, Heigold, Ranzato and Yang, An empirical study of learning rates in deep
        neural networks for speech recognition, 2013 (exponential scheduling).
        Deviations: base e in place of 10.

    Example:

    >>> schedule = ExponentialDecay(0.1, rate=0.5, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 20)]  # 0, 1/2 and 2 epochs
    [0.1, 0.0779, 0.0368]
    """

    def __init__(self, initial_learning_rate, *, rate, steps_per_epoch=None):
        super().__init__(initial_learning_rate, steps_per_epoch=steps_per_epoch)
        if not 0 <= rate < math.inf:
            raise ValueError(f"`rate` must be at least 0, got {rate}.")
        self.rate = float(rate)

    def __call__(self, step):
        return self.initial_learning_rate * ops.exp(
            -self.rate * time_of(step, self.steps_per_epoch)
        )

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="kerakit")
class InverseTimeDecay(Decay):
    """Decay of the learning rate as 1 / t: `lr = lr_0 / (1 + k t)`.

    `keras.optimizers.schedules.InverseTimeDecay(lr_0, 1, k)` gives the same rates. This
    one exists for the epochs, so that the three decays are set alike.

    Args:
        initial_learning_rate: Positive.
        rate: k, at least 0: the rate is halved in a time of 1 / k.
        steps_per_epoch: Batches in an epoch, a positive integer: t is in epochs, and
            moves on by a fraction with each step. None: t is in steps.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Robbins and Monro, A Stochastic Approximation Method, 1951 (steps of the type
        1 / n). Bottou, Stochastic Gradient Descent Tricks, 2012, has this form, with
        k = lr_0 lambda for a loss whose L2 penalty has the factor lambda / 2.
        Deviations: k is free.

    Example:

    >>> schedule = InverseTimeDecay(0.1, rate=0.5, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 20)]  # 0, 1/2 and 2 epochs
    [0.1, 0.08, 0.05]
    """

    def __init__(self, initial_learning_rate, *, rate, steps_per_epoch=None):
        super().__init__(initial_learning_rate, steps_per_epoch=steps_per_epoch)
        if not 0 <= rate < math.inf:
            raise ValueError(f"`rate` must be at least 0, got {rate}.")
        self.rate = float(rate)

    def __call__(self, step):
        return self.initial_learning_rate / (1 + self.rate * time_of(step, self.steps_per_epoch))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
