"""RMSProp: rates that follow a moving average of squared gradients."""

import keras
from keras import ops

from kerakit.optimizers.adaptive import AdaptiveOptimizer


@keras.saving.register_keras_serializable(package="kerakit")
class RMSProp(AdaptiveOptimizer):
    """RMSProp: AdaGrad with a moving average in place of the sum.

    `c = beta c + (1 - beta) g^2; W = W - lr g / (sqrt(c) + epsilon)`, with c = 0 at the
    start, so that rates do not vanish in the long run.

    `keras.optimizers.RMSprop` has epsilon under the root: at rate 0.1 the first step
    for a gradient of 1e-4 is -0.315 here and -0.0315 there.

    Args:
        learning_rate: Float, at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        beta: In [0, 1), the share of the average that is kept. None: 0.9 under
            `"sheet"` (Hinton's), 0.99 under `"torch"` (its alpha).
        epsilon: Positive, added outside the root. None: `keras.config.epsilon()`
            under `"sheet"`, 1e-8 under `"torch"`.
        weight_decay: Lambda of a coupled L2 penalty, at least 0: the gradient is
            `g + lambda W`, after clipping. None for no penalty.
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s): whose defaults. The formula is one.
        **options: Options of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor`, `gradient_accumulation_steps`, `name`.

    Raises:
        ValueError: If an argument is out of its range or unknown; when it is built
            for a float16 variable.

    Reference:
        Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.
        Deviations: epsilon, which the lecture leaves out, is added to the root.

    Example:

    >>> import keras
    >>> weight = keras.Variable([0.0])
    >>> RMSProp(0.1).apply([keras.ops.array([1e-4])], [weight])
    >>> round(float(weight.numpy()[0]), 3)
    -0.315
    """

    def __init__(
        self,
        learning_rate=0.001,
        *,
        beta=None,
        epsilon=None,
        weight_decay=None,
        convention="sheet",
        **options,
    ):
        if beta is not None and not 0 <= beta < 1:
            raise ValueError(f"`beta` must be in [0, 1) or None, got {beta}.")
        super().__init__(
            learning_rate,
            epsilon=epsilon,
            torch_epsilon=1e-8,
            convention=convention,
            weight_decay=weight_decay,
            **options,
        )
        if beta is None:
            beta = 0.99 if convention == "torch" else 0.9
        self.beta = beta

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._averages = self.add_optimizer_variables(variables, "average_of_squares")

    def descend(self, gradient, variable, learning_rate):
        average = self._averages[self._get_variable_index(variable)]
        change = ops.subtract(ops.square(gradient), average)
        self.assign_add(average, ops.multiply(change, 1 - self.beta))
        step = ops.divide(
            ops.multiply(gradient, learning_rate), ops.add(ops.sqrt(average), self.epsilon)
        )
        self.assign_sub(variable, step)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}
