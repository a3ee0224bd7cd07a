"""AdaGrad: rates that shrink with the sum of squared gradients."""

import keras
from keras import ops

from kerakit.optimizers.adaptive import AdaptiveOptimizer


@keras.saving.register_keras_serializable(package="kerakit")
class AdaGrad(AdaptiveOptimizer):
    """AdaGrad: each weight's rate shrinks with the sum of its squared gradients.

    `c = c + g^2; W = W - lr g / (sqrt(c) + epsilon)`, with c = 0 at the start. The sum
    only grows, so learning can come to a stop.

    `keras.optimizers.Adagrad` starts c at 0.1 and has epsilon under the root: at rate
    0.1 the first step for a gradient of 1e-4 is -0.0999 here and -3.16e-5 there.

    Args:
        learning_rate: Float, at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        epsilon: Positive, added outside the root. None: `keras.config.epsilon()`
            under `"sheet"`, 1e-10 under `"torch"`.
        weight_decay: Lambda of a coupled L2 penalty, at least 0: the gradient is
            `g + lambda W`, after clipping. None for no penalty.
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s): whose default epsilon. The formula is one.
        **options: Options of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor`, `gradient_accumulation_steps`, `name`.

    Raises:
        ValueError: If an argument is out of its range or unknown; when it is built
            for a float16 variable.

    Reference:
        Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and
        Stochastic Optimization, 2011, Fig. 1 (diagonal). Deviations: epsilon is added
        to the root alone, as textbooks and `torch.optim.Adagrad` have it.

    Example:

    >>> import keras
    >>> weight = keras.Variable([0.0])
    >>> AdaGrad(0.1).apply([keras.ops.array([1e-4])], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    -0.0999
    """

    def __init__(
        self,
        learning_rate=0.01,
        *,
        epsilon=None,
        weight_decay=None,
        convention="sheet",
        **options,
    ):
        super().__init__(
            learning_rate,
            epsilon=epsilon,
            torch_epsilon=1e-10,
            convention=convention,
            weight_decay=weight_decay,
            **options,
        )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._sums = self.add_optimizer_variables(variables, "sum_of_squares")

    def descend(self, gradient, variable, learning_rate):
        total = self._sums[self._get_variable_index(variable)]
        self.assign_add(total, ops.square(gradient))
        step = ops.divide(
            ops.multiply(gradient, learning_rate), ops.add(ops.sqrt(total), self.epsilon)
        )
        self.assign_sub(variable, step)
