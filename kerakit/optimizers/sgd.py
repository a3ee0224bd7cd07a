"""Stochastic gradient descent, plain and with momentum."""

import keras
from keras import ops

from kerakit.optimizers.coupled import CoupledOptimizer


@keras.saving.register_keras_serializable(package="kerakit")
class SGD(CoupledOptimizer):
    """Stochastic gradient descent, plain or with momentum.

    Plain: `W = W - lr g`. With momentum, which dampens oscillations, `convention`
    says where the learning rate stands:

    - `"sheet"`: `v = momentum v + lr g; W = W - v`. A change of the learning rate
      works only on gradients that are still to come.
    - `"torch"`: `v = momentum v + g; W = W - lr v`. It works on the whole velocity
      at once.

    The two are equal while the learning rate stays the same. `keras.optimizers.SGD`
    has the momentum of `"sheet"`, but decoupled weight decay: W = 1, g = 0.1, rate 0.1,
    momentum 0.9 and weight decay 0.5 give 0.940, 0.829 here and 0.940, 0.874 there
    after one and two steps.

    Args:
        learning_rate: Float, at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: In [0, 1); 0 is plain descent.
        weight_decay: Lambda of a coupled L2 penalty, at least 0: the gradient is
            `g + lambda W`, after clipping. None for no penalty.
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s), see above.
        **options: Options of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor`, `gradient_accumulation_steps`, `name`.

    Raises:
        ValueError: If an argument is out of its range or unknown.

    Reference:
        Sutskever, Martens, Dahl and Hinton, On the importance of initialization and
        momentum in deep learning, 2013, Eq. 1 and 2 (`"sheet"`, with v of the
        other sign). `torch.optim.SGD` (`"torch"`). Deviations: none.

    Example:

    >>> import keras
    >>> weight = keras.Variable([1.0])
    >>> optimizer = SGD(0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.apply([keras.ops.ones(1)], [weight])
    >>> round(float(weight.numpy()[0]), 4)  # 1 - 0.1 - (0.9 x 0.1 + 0.1)
    0.71
    """

    def __init__(
        self,
        learning_rate=0.01,
        *,
        momentum=0.0,
        weight_decay=None,
        convention="sheet",
        **options,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1), got {momentum}.")
        super().__init__(learning_rate, convention=convention, weight_decay=weight_decay, **options)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self._velocities = self.add_optimizer_variables(variables, "velocity")

    def descend(self, gradient, variable, learning_rate):
        if not self.momentum:
            self.assign_sub(variable, ops.multiply(gradient, learning_rate))
            return
        velocity = self._velocities[self._get_variable_index(variable)]
        kept = ops.multiply(velocity, self.momentum)
        if self.convention == "torch":
            self.assign(velocity, ops.add(kept, gradient))
            self.assign_sub(variable, ops.multiply(velocity, learning_rate))
        else:
            self.assign(velocity, ops.add(kept, ops.multiply(gradient, learning_rate)))
            self.assign_sub(variable, velocity)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}
