"""What all four optimizers share: coupled weight decay, two conventions, dense gradients."""

import keras
from keras import ops


class CoupledOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose weight decay is part of the gradient.

    `weight_decay` is L2 regularization, `R(W) = lambda / 2 sum W^2`:
    the gradient that the formula sees is `g + lambda W`, after clipping. Keras
    subtracts `lr lambda W` from the weight instead, past the formula (decoupled),
    which is another method as soon as the formula is not linear in `g`.

    A subclass writes `descend`, which is given tensors of the variable's dtype.

    Args:
        learning_rate: As in `keras.optimizers.Optimizer`; at least 0.
        convention: `"sheet"` (the textbook form listed in docs/coverage.md) or `"torch"`
            (`torch.optim`'s).
        weight_decay: Lambda, at least 0, or None.
        **options: Forwarded to `keras.optimizers.Optimizer`, which refuses what
            it does not know.

    Raises:
        ValueError: If an argument is out of its range or unknown.
    """

    def __init__(self, learning_rate, *, convention, weight_decay=None, **options):
        if convention not in ("sheet", "torch"):
            raise ValueError(f'`convention` must be "sheet" or "torch", got {convention!r}.')
        if weight_decay is not None and not weight_decay >= 0:
            raise ValueError(f"`weight_decay` must be at least 0 or None, got {weight_decay}.")
        if isinstance(learning_rate, float) and not learning_rate >= 0:
            raise ValueError(f"`learning_rate` must be at least 0, got {learning_rate}.")
        if "decay" in options:  # Keras only warns, and then ignores it
            raise ValueError("`decay` is not an option: pass a schedule as `learning_rate`.")
        super().__init__(learning_rate, weight_decay=weight_decay, **options)
        self.convention = convention

    def update_step(self, gradient, variable, learning_rate):
        # TensorFlow's gradient of a gather lists an index as often as it was read;
        # squared entry by entry, as Keras does, the repeats would not be summed first.
        if hasattr(gradient, "dense_shape"):
            gradient = ops.add(gradient, ops.zeros_like(variable))
        gradient = ops.cast(gradient, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            gradient = ops.add(gradient, ops.multiply(variable, self.weight_decay))
        # Not `ops.cast`: that takes a Python number through float32.
        learning_rate = ops.convert_to_tensor(learning_rate, variable.dtype)
        self.descend(gradient, variable, learning_rate)

    def descend(self, gradient, variable, learning_rate):
        """Updates one variable, and the optimizer's state for it."""
        raise NotImplementedError

    def _apply_weight_decay(self, variables):
        """Nothing: Keras's decoupled decay, which `update_step` replaces."""

    def get_config(self):
        return {**super().get_config(), "convention": self.convention}
