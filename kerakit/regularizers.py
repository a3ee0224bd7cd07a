"""Penalties on weights, and a report of what each layer pays."""

import math
from dataclasses import dataclass

import keras
from keras import ops

__all__ = ["L1", "L2", "ElasticNet", "Penalty", "PenaltyReport", "report"]


@keras.saving.register_keras_serializable(package="kerakit")
class L1(keras.Regularizer):
    """L1 penalty, `l1 * sum |W|`: sparse weights, many of them exactly zero.

    Its gradient is `l1 * sign(W)`, which is 0 at a weight of zero. `keras.regularizers.L1` has
    the same value, but on JAX its gradient there is `l1`, so that weights at zero are pushed
    off it; and it keeps its factor in float32: `L1(0.01)` saves 0.009999999776482582.

    Args:
        l1: Factor of the penalty, at least 0.

    Raises:
        ValueError: If `l1` is negative or not finite.

    Reference:
        Tibshirani, Regression Shrinkage and Selection via the Lasso, 1996, section 2.1.
        Deviations: the penalty form, not the constraint.

    Example:

    >>> float(L1(0.5)(keras.ops.array([3.0, -1.0])))
    2.0
    """

    def __init__(self, l1=0.01):
        self.l1 = _factor("l1", l1)

    def __call__(self, x):
        return self.l1 * _sum_of_absolute(x)

    def get_config(self):
        return {"l1": self.l1}


@keras.saving.register_keras_serializable(package="kerakit")
class L2(keras.Regularizer):
    """L2 penalty with one half, `l2 / 2 * sum W^2`: small weights, spread out.

    Its gradient is `l2 * W`, so that under plain SGD it is weight decay by `l2`.
    `keras.regularizers.L2` has no half: for weights (3, -1) and a factor of 0.5 it gives 5,
    this gives 2.5.

    Args:
        l2: Factor of the gradient, at least 0.

    Raises:
        ValueError: If `l2` is negative or not finite.

    Reference:
        Krogh and Hertz, A Simple Weight Decay Can Improve Generalization, 1991, Eq. 2.
        Deviations: none.

    Example:

    >>> float(L2(0.5)(keras.ops.array([3.0, -1.0])))
    2.5
    """

    def __init__(self, l2=0.01):
        self.l2 = _factor("l2", l2)

    def __call__(self, x):
        return 0.5 * self.l2 * ops.sum(ops.square(x))

    def get_config(self):
        return {"l2": self.l2}


@keras.saving.register_keras_serializable(package="kerakit")
class ElasticNet(keras.Regularizer):
    """Both penalties, `l1 * sum |W| + l2 * sum W^2`; the square has no half here.

    Its gradient is `l1 * sign(W) + 2 * l2 * W`. `keras.regularizers.L1L2` has the same value,
    but on JAX its gradient at a weight of zero is `l1` where this is 0.

    Args:
        l1: Factor of the absolute values, at least 0.
        l2: Factor of the squares, at least 0. `L2(l2)` is half of what this adds.

    Raises:
        ValueError: If a factor is negative or not finite.

    Reference:
        Zou and Hastie, Regularization and Variable Selection via the Elastic Net, 2005,
        Eq. 3. Deviations: none.

    Example:

    >>> float(ElasticNet(l1=0.5, l2=0.25)(keras.ops.array([3.0, -1.0])))
    4.5
    """

    def __init__(self, l1=0.01, l2=0.01):
        self.l1 = _factor("l1", l1)
        self.l2 = _factor("l2", l2)

    def __call__(self, x):
        return self.l1 * _sum_of_absolute(x) + self.l2 * ops.sum(ops.square(x))

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """What one weight adds to a model's loss.

    Args:
        layer: The layer's path in the model; empty for what belongs to no one weight.
        weight: The weight's name, such as "kernel".
        regularizer: The regularizer and its settings, as text.
        value: The penalty.
    """

    layer: str
    weight: str
    regularizer: str
    value: float


@dataclass(frozen=True)
class PenaltyReport:
    """The penalties of a model, one row a weight; printed, a table.

    Args:
        rows: `Penalty` of each regularized weight, in the model's order.
    """

    rows: tuple[Penalty, ...]

    @property
    def total(self):
        """Sum of all penalties: what the model adds to its loss."""
        return math.fsum(row.value for row in self.rows)

    @property
    def by_layer(self):
        """Dict of each layer's sum."""
        layers = dict.fromkeys(row.layer for row in self.rows)
        return {
            layer: math.fsum(row.value for row in self.rows if row.layer == layer)
            for layer in layers
        }

    def __str__(self):
        head = ("layer", "weight", "regularizer", "penalty")
        lines = [(row.layer, row.weight, row.regularizer, f"{row.value:.6g}") for row in self.rows]
        lines = [head, *lines, ("total", "", "", f"{self.total:.6g}")]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            "  ".join(
                [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
                + [line[3].rjust(widths[3])]
            )
            for line in lines
        )


def report(model):
    """Lists what each layer's regularizers add to the loss.

    Only trainable weights are penalised: a frozen layer pays nothing, as in training. What a
    layer recorded during the model's last call (activity regularizers, `add_loss`) belongs to
    no weight and stands in one row.

    Args:
        model: A built `keras.Model` or layer.

    Returns:
        A `PenaltyReport`. Its total is `sum(model.losses)`.

    Example:

    >>> dense = keras.layers.Dense(
    ...     3, kernel_initializer="ones", kernel_regularizer=L2(0.1), name="dense")
    >>> print(report(keras.Sequential([keras.Input((2,)), dense], name="model")))
    layer        weight  regularizer  penalty
    model/dense  kernel  L2(l2=0.1)       0.3
    total                                 0.3
    """
    rows = []
    for variable in model.trainable_weights:
        if variable.regularizer is not None:
            layer, _, weight = variable.path.rpartition("/")
            value = float(ops.convert_to_numpy(variable.regularizer(variable)))
            description = _description(variable.regularizer)
            rows.append(Penalty(layer=layer, weight=weight, regularizer=description, value=value))
    losses = [float(ops.convert_to_numpy(loss)) for loss in model.losses]
    if len(losses) > len(rows):
        recorded = math.fsum(losses) - math.fsum(row.value for row in rows)
        rows.append(
            Penalty(layer="", weight="", regularizer="recorded by the last call", value=recorded)
        )
    return PenaltyReport(tuple(rows))


def _factor(name, value):
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` must be at least 0 and finite, got {value}.")
    return float(value)


def _sum_of_absolute(x):
    # The gradient of sign(x) * x is sign(x), 0 at 0, on every backend; that of |x| is not.
    return ops.sum(ops.sign(x) * x)


def _description(regularizer):
    if not isinstance(regularizer, keras.Regularizer):
        return getattr(regularizer, "__name__", type(regularizer).__name__)
    settings = ", ".join(f"{name}={value}" for name, value in regularizer.get_config().items())
    return f"{type(regularizer).__name__}({settings})"
