"""What the optimizers share that divide by the root of squared gradients."""

import keras

from kerakit.optimizers.coupled import CoupledOptimizer


class AdaptiveOptimizer(CoupledOptimizer):
    """An optimizer that divides by `sqrt(squares) + epsilon`, epsilon outside the root.

    Args:
        learning_rate: As in `keras.optimizers.Optimizer`.
        epsilon: Positive; None for the convention's own, which is
            `keras.config.epsilon()` for `"sheet"`, as the textbooks leave it open.
        torch_epsilon: PyTorch's default for this formula.
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s).
        **options: As in `CoupledOptimizer`.

    Raises:
        ValueError: If `epsilon` is not positive; in `build`, if a variable is float16.
    """

    def __init__(self, learning_rate, *, epsilon, torch_epsilon, convention, **options):
        if epsilon is not None and not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive or None, got {epsilon}.")
        super().__init__(learning_rate, convention=convention, **options)
        if epsilon is None:
            epsilon = torch_epsilon if convention == "torch" else keras.config.epsilon()
        self.epsilon = epsilon

    def build(self, variables):
        for variable in variables:
            # 1e-4 squared is 0 in float16, and 0 / (0 + 1e-8) is not a number.
            if keras.backend.standardize_dtype(variable.dtype) == "float16":
                raise ValueError(
                    f"{type(self).__name__} squares gradients, which float16 cannot hold: keep "
                    f"{variable.path} in float32, as the policy `mixed_float16` does."
                )
        super().build(variables)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
