"""One public part, how to make it and what to call it with."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

BASES = {
    "layer": keras.layers.Layer,
    "loss": keras.losses.Loss,
    "metric": keras.metrics.Metric,
    "optimizer": keras.optimizers.Optimizer,
    "schedule": keras.optimizers.schedules.LearningRateSchedule,
    "callback": keras.callbacks.Callback,
    "initializer": keras.initializers.Initializer,
    "regularizer": keras.regularizers.Regularizer,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A part under its conformance tests.

    Attributes:
        part: Class or function.
        config: Keyword arguments, other than the defaults where there are any.
        inputs: NumPy arguments of one call, arrays or lists of them, batch first.
        differentiable: Whether the gradient check applies.
        slow: Whether compiling it takes so long that only `make test-all` does.
        has_ties: Whether a model chooses among so many values, or has so many ReLUs, that the last
            digit of float32 changes a choice: its step under XLA is then compared in float64.
    """

    part: Callable[..., Any]
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    differentiable: bool = True
    slow: bool = False
    has_ties: bool = False

    @property
    def kind(self):
        # Tests of their own, beside each family's: what a detector learns from is no label.
        if self.part.__module__.startswith("kerakit.models.detection."):
            return "detector"
        if not inspect.isclass(self.part):
            return "model" if self.part.__module__.startswith("kerakit.models.") else "function"
        return next(kind for kind, base in BASES.items() if issubclass(self.part, base))

    def make(self, **more):
        return self.part(**{**self.config, **more})

    def __str__(self):
        options = "-".join(str(v) for v in self.config.values() if isinstance(v, str | int | float))
        return f"{self.part.__name__}-{options}" if options else self.part.__name__


def first_of_batch(inputs):
    return keras.tree.map_structure(lambda x: x[:1], list(inputs))


def in_float64(inputs):
    return keras.tree.map_structure(
        lambda x: x.astype("float64") if x.dtype.kind == "f" else x, list(inputs)
    )


def numpy(x):
    """Any backend's tensor, or a structure of them, in NumPy."""
    return keras.tree.map_structure(
        lambda t: np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(t, "float32"))), x
    )


def assert_close(one, other, *, rtol=1e-5, atol=1e-6):
    one, other = keras.tree.flatten(numpy(one)), keras.tree.flatten(numpy(other))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def compiled(function):
    """The function under XLA."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function  # torch has no XLA on this machine kind


def small_model(inputs, *, outputs=3):
    """A model of a few weights over the first input, for parts that live inside `fit`."""
    return keras.Sequential(
        [
            keras.Input(inputs.shape[1:]),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(outputs),
        ]
    )
