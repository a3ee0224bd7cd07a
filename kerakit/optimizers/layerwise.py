"""AdamW with a rate of its own for each variable."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerakit")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW that takes a share of the learning rate, and begins at a step, by variable.

    Fine-tuning wants smaller steps near the pixels than near the answer, and to move the answer's
    layer first. Keras's optimizers have one rate for all variables, and `trainable = False` needs
    the model compiled anew, with fresh moments, whenever a layer joins; here it is one `fit`.
    A variable of share s that begins at step n moves by `s` times AdamW's step, decay of the
    weight included, from step n on, and not before: rate 0.1, share 0.5 and gradient 1 move it
    by 0.05 where `keras.optimizers.AdamW` moves it by 0.1. Its moments are kept from the first
    step on, so that it joins with warm ones.

    Args:
        learning_rate: Float or `keras.optimizers.schedules.LearningRateSchedule`.
        shares: Dict from a variable's `path` to its share, at least 0; others have 1.
        starts: Dict from a variable's `path` to the step it begins at; others begin at 0.
        **options: As in `keras.optimizers.AdamW`: `weight_decay`, `beta_1`, `use_ema` and so on.

    Raises:
        ValueError: If a share or a start is negative.

    Reference:
        Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, Algorithm 2. Howard
        and Ruder, Universal Language Model Fine-tuning for Text Classification, 2018, Sections
        3.2 and 3.3, for rates by layer and for layers that join one by one. Deviations: none.

    Example:

    >>> first, last = keras.Variable([0.0], name="first"), keras.Variable([0.0], name="last")
    >>> optimizer = LayerwiseAdamW(0.1, weight_decay=0.0, shares={"first": 0.5})
    >>> optimizer.apply([ops.ones(1), ops.ones(1)], [first, last])
    >>> [round(float(v[0]), 3) for v in (first, last)]
    [-0.05, -0.1]
    """

    def __init__(
        self, learning_rate=0.001, *, shares=None, starts=None, name="layerwise_adamw", **options
    ):
        for argument, numbers in (("shares", shares), ("starts", starts)):
            for path, number in (numbers or {}).items():
                if not number >= 0:
                    raise ValueError(f"`{argument}` must be at least 0, got {number} for {path!r}.")
        super().__init__(learning_rate, name=name, **options)
        self.shares = dict(shares or {})
        self.starts = dict(starts or {})

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, self._rate(variable, learning_rate))

    def _apply_weight_decay(self, variables):
        for variable in variables:
            if self.weight_decay and self._use_weight_decay(variable):
                rate = ops.cast(self._rate(variable, self.learning_rate), variable.dtype)
                variable.assign(variable - variable * (rate * self.weight_decay))

    def _rate(self, variable, learning_rate):
        # TensorFlow hands its own variable, which knows nothing of Keras's path.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        rate = learning_rate * self.shares.get(path, 1.0)
        start = self.starts.get(path, 0)
        return ops.where(self.iterations >= start, rate, 0.0) if start else rate

    def get_config(self):
        return {**super().get_config(), "shares": self.shares, "starts": self.starts}
