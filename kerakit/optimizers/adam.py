"""Adam: momentum and adaptive rates, both corrected for their start at zero."""

import math

import keras
from keras import ops

from kerakit.optimizers.adaptive import AdaptiveOptimizer


def one_minus_power(beta, t):
    """`1 - beta^t`, exact to the last digits for every beta in [0, 1) and t above 0.

    As a power in float32, 1 - 0.999^1 would be wrong by 1.3e-5 of itself.
    """
    if beta == 0:
        return ops.ones_like(t)
    return ops.negative(ops.expm1(ops.multiply(t, math.log(beta))))


@keras.saving.register_keras_serializable(package="kerakit")
class Adam(AdaptiveOptimizer):
    """Adam: momentum and RMSProp's rates, both corrected for their start at zero.

    `m = beta_1 m + (1 - beta_1) g` and `v = beta_2 v + (1 - beta_2) g^2`;
    `W = W - lr m^ / (sqrt(v^) + epsilon)` with `m^ = m / (1 - beta_1^t)` and
    `v^ = v / (1 - beta_2^t)` in step t = 1, 2, ...

    `keras.optimizers.Adam` adds epsilon to the root of the uncorrected v, where it
    weighs 32 times as much in the first step: at rate 0.1 that step for a gradient
    of 1e-4 is -0.0999 here and -0.0969 there.

    Args:
        learning_rate: Float, at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        beta_1: In [0, 1), the share of the mean gradient that is kept.
        beta_2: In [0, 1), the share of the mean square that is kept.
        epsilon: Positive, added outside the root and after the correction. None:
            `keras.config.epsilon()` under `"sheet"`, 1e-8 under `"torch"`.
        weight_decay: Lambda of a coupled L2 penalty, at least 0: the gradient is
            `g + lambda W`, after clipping. None for no penalty. Keras's is decoupled
            (AdamW, for which use `keras.optimizers.AdamW`).
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s): whose default epsilon. The formula is one.
        **options: Options of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor`, `gradient_accumulation_steps`, `name`.

    Raises:
        ValueError: If an argument is out of its range or unknown; when it is built
            for a float16 variable.

    Reference:
        Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, Algorithm 1.
        Deviations: none.

    Example:

    >>> import keras
    >>> weight = keras.Variable([0.0])
    >>> Adam(0.1).apply([keras.ops.array([1e-4])], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    -0.0999
    """

    def __init__(
        self,
        learning_rate=0.001,
        *,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=None,
        weight_decay=None,
        convention="sheet",
        **options,
    ):
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"`{name}` must be in [0, 1), got {beta}.")
        super().__init__(
            learning_rate,
            epsilon=epsilon,
            torch_epsilon=1e-8,
            convention=convention,
            weight_decay=weight_decay,
            **options,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._means, self._squares = self.add_optimizer_variables(
            variables, ["mean_of_gradients", "mean_of_squares"]
        )

    def descend(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        mean, square = self._means[index], self._squares[index]
        self.assign_add(mean, ops.multiply(ops.subtract(gradient, mean), 1 - self.beta_1))
        change = ops.subtract(ops.square(gradient), square)
        self.assign_add(square, ops.multiply(change, 1 - self.beta_2))

        # bfloat16 cannot count to 257, so float32 at least. (Not `result_type`, which
        # makes float32 of float64 and float32 on JAX, with x64 on too.)
        dtype = keras.backend.standardize_dtype(variable.dtype)
        t = ops.cast(self.iterations + 1, dtype if dtype == "float64" else "float32")
        # The fraction is multiplied out by sqrt(1 - beta_2^t): the corrections are then
        # two numbers and cost no pass over the weights.
        root = ops.sqrt(one_minus_power(self.beta_2, t))
        scale = ops.cast(ops.divide(root, one_minus_power(self.beta_1, t)), dtype)
        epsilon = ops.cast(ops.multiply(root, self.epsilon), dtype)
        step = ops.multiply(mean, ops.multiply(learning_rate, scale))
        self.assign_sub(variable, ops.divide(step, ops.add(ops.sqrt(square), epsilon)))

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
