"""Gradient clipping that is seen in the logs."""

import contextlib
import math

import keras
from keras import ops

from kerakit.errors import InputError

# Order of the numbers of an epoch, as they stand in one variable of the optimizer.
TOTALS = ("updates", "norm_sum", "norm_max", "clipped", "nonfinite")


@keras.saving.register_keras_serializable(package="kerakit")
class GradientClipping(keras.callbacks.Callback):
    """Clips the gradients while it trains, and logs their norm before clipping.

    Keras's optimizers clip (`global_clipnorm`, `clipnorm`, `clipvalue`) and log nothing, so
    that nobody sees whether a threshold never acts or always does. This sets the optimizer's
    own clipping for one `fit`, and adds to the logs of each epoch:

    - `gradient_norm`, `gradient_norm_max`: mean and largest over the epoch's updates of the
      global norm `sqrt(sum of all squared entries)`, before clipping, after loss unscaling and
      gradient accumulation;
    - `clipped_share`: share of the updates that were clipped, in [0, 1];
    - `nonfinite_gradients`: number of updates whose norm was NaN or infinite, or beyond
      float32 (1.8e19). They are in none of the other three, which are NaN in an epoch without
      a finite update. Updates that a `LossScaleOptimizer` skips are not counted at all.

    The clipped gradients are Keras's, but for an embedding on TensorFlow. Its gradient holds a
    row once for each time that it was looked up, and Keras's norm adds the squares of these
    instead of the square of their sum: for ids (1, 1, 1, 1) and (1, 2, 2, 2) it gave 7.28
    where the norm is 8.38. Here the gradient is made dense first, as it is on JAX. Under a
    `tf.distribute` strategy Keras clips each replica's gradient before they are added, and the
    logs hold the mean over replicas of the replicas' norms.

    Put it before the callbacks that write logs or save the training's state. The numbers are
    kept in one variable of the optimizer, for a Python value that is stored inside a step is
    lost on JAX. It is in `optimizer.variables`, last, from the beginning of an epoch to its
    end, and is never written into saved models. A `fit` that ends by an exception leaves the
    clipping on, for Keras tells no callback of it; the next GradientClipping puts that right.

    Exactly one threshold is given.

    Args:
        norm: All gradients are scaled by one factor so that their global norm is at most this.
        variable_norm: The gradient of each variable is scaled so that its own norm is at most
            this.
        value: Each entry of the gradients is clipped to [-value, value].

    Raises:
        ValueError: If not exactly one threshold is given or it is not positive and finite.
        InputError: When training begins, if the optimizer already clips in another way.

    Reference:
        Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks,
        2013, Algorithm 1 (`norm`). Deviations: none. Its Section 3.2 sets the threshold by the
        average norm over many updates, which is what `gradient_norm` shows.

    Example:

    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "linear", False)])
    >>> model.set_weights([np.array([[2.0]])])
    >>> model.compile(keras.optimizers.SGD(0.0), loss="mse")
    >>> x = np.ones((4, 1))
    >>> clipping = GradientClipping(1.0)
    >>> logs = model.fit(x, 0 * x, verbose=0, callbacks=[clipping]).history
    >>> logs["gradient_norm"], logs["clipped_share"]  # of w^2 at w = 2
    ([4.0], [1.0])
    """

    def __init__(self, norm=None, *, variable_norm=None, value=None):
        thresholds = {"norm": norm, "variable_norm": variable_norm, "value": value}
        given = {name: number for name, number in thresholds.items() if number is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of `norm`, `variable_norm` and `value` must be given, got "
                f"{', '.join(given) or 'none'}."
            )
        for name, number in given.items():
            if not (number > 0 and math.isfinite(number)):
                raise ValueError(f"`{name}` must be positive and finite, got {number}.")
        super().__init__()
        self.norm = norm
        self.variable_norm = variable_norm
        self.value = value
        self._optimizer = None  # the one that clips, while a training runs
        self._former = {}
        self._hooked = []
        self._totals = None
        self._epoch = None
        self._resumed = None

    def on_train_begin(self, logs=None):
        self._attach(self.model)
        # Keras made the training step before this call; one that was traced has no hook.
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch, logs=None):
        if self._optimizer is None:
            raise InputError(
                "Two GradientClipping callbacks are in one `fit`, and only one can clip; give one."
            )
        # A training that was broken off inside an epoch goes on with that epoch's numbers.
        resumed, self._resumed = self._resumed, None
        goes_on = resumed is not None and resumed.get("epoch") == epoch
        self._show_totals()
        self._totals.assign([resumed[key] if goes_on else 0.0 for key in TOTALS])
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        state = self.get_state()
        self._hide_totals()
        updates = state["updates"]
        logs["gradient_norm"] = state["norm_sum"] / updates if updates else math.nan
        logs["gradient_norm_max"] = state["norm_max"] if updates else math.nan
        logs["clipped_share"] = state["clipped"] / updates if updates else math.nan
        logs["nonfinite_gradients"] = state["nonfinite"]

    def on_train_end(self, logs=None):
        self._detach()
        self.model.train_function = None  # the traced one still counts

    def get_state(self):
        """The numbers of the epoch so far, to go on from in the middle of it.

        Returns:
            Dictionary of the epoch (from 0) and its totals; empty outside training.
        """
        if self._optimizer is None or self._epoch is None:
            return {}
        _ = self.model  # on JAX this brings the steps' results back to the variables
        totals = ops.convert_to_numpy(self._totals)
        numbers = {key: float(total) for key, total in zip(TOTALS, totals, strict=True)}
        return {"epoch": self._epoch, **numbers}

    def set_state(self, state):
        """Goes on from a state in the next epoch to begin, if it is the state's epoch.

        Args:
            state: What `get_state` returned.
        """
        self._resumed = dict(state)

    def get_config(self):
        return {"norm": self.norm, "variable_norm": self.variable_norm, "value": self.value}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def _attach(self, model):
        """Sets the thresholds, and hooks the one place that sees the gradients unclipped."""
        outer = inner = model.optimizer
        while isinstance(inner, keras.optimizers.LossScaleOptimizer):
            inner = inner.inner_optimizer
        for name in ("_clip_gradients", "_track_variable", "_untrack_variable"):
            if not hasattr(inner, name):
                raise RuntimeError(
                    f"GradientClipping needs the method `{name}` of Keras's optimizers, which "
                    f"{type(inner).__name__} of Keras {keras.__version__} lacks."
                )
        # A `fit` that was interrupted never came to its end, and left its hook.
        left_over = getattr(inner._clip_gradients, "callback", None)
        if left_over is not None:
            left_over._detach()

        thresholds = {
            "global_clipnorm": self.norm,
            "clipnorm": self.variable_norm,
            "clipvalue": self.value,
        }
        self._former = {name: getattr(inner, name) for name in thresholds}
        for name, number in self._former.items():
            if number not in (None, thresholds[name]):
                raise InputError(
                    f"The optimizer already clips with {name}={number}; leave that out, or "
                    "leave out GradientClipping."
                )
        if not outer.built:
            outer.build(model.trainable_variables)
        strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
        with strategy.scope() if strategy else contextlib.nullcontext():
            self._totals = inner.add_variable(
                (len(TOTALS),), dtype="float32", aggregation="mean", name="gradient_clipping"
            )
        self._optimizer = inner
        for name, number in thresholds.items():
            setattr(inner, name, number)

        def clip_and_count(grads, clip=inner._clip_gradients):
            # TensorFlow's gradient of an embedding is sparse; a reshape makes it dense.
            grads = [ops.reshape(g, g.shape) for g in grads]
            self._totals.assign(self._counted(grads))
            return clip(grads)

        clip_and_count.callback = self
        inner._clip_gradients = clip_and_count
        self._hooked = [(inner, "_clip_gradients")]
        # An optimizer saved with one variable more could not be loaded without this callback.
        for optimizer in {id(outer): outer, id(inner): inner}.values():
            for name in ("save_own_variables", "load_own_variables"):
                setattr(optimizer, name, self._without_totals(getattr(optimizer, name)))
                self._hooked.append((optimizer, name))

    def _detach(self):
        for optimizer, name in self._hooked:
            delattr(optimizer, name)  # the class's method is seen again
        for name, number in self._former.items():
            setattr(self._optimizer, name, number)
        self._hide_totals()
        self._optimizer = self._totals = self._epoch = None

    def _show_totals(self):
        """Puts the totals among the optimizer's variables, which travel through JAX's steps."""
        if not any(variable is self._totals for variable in self._optimizer.variables):
            self._optimizer._track_variable(self._totals)

    def _hide_totals(self):
        """Takes them out, so that whoever keeps the optimizer's variables finds its own."""
        self._optimizer._untrack_variable(self._totals)

    def _without_totals(self, method):
        def save_or_load(store):
            count = len(self._optimizer.variables)
            self._hide_totals()
            try:
                method(store)
            finally:
                if len(self._optimizer.variables) < count:
                    self._show_totals()

        return save_or_load

    def _counted(self, grads):
        """The totals with one more update in them."""
        grads = [ops.cast(g, "float32") for g in grads]
        squares = ops.stack([ops.sum(ops.square(g)) for g in grads])
        norm = ops.sqrt(ops.sum(squares))
        if self.norm is not None:
            is_clipped = norm > self.norm
        elif self.variable_norm is not None:
            is_clipped = ops.max(ops.sqrt(squares)) > self.variable_norm
        else:
            is_clipped = ops.max(ops.stack([ops.max(ops.abs(g)) for g in grads])) > self.value
        finite = ops.isfinite(norm)
        norm = ops.where(finite, norm, 0.0)
        updates, norm_sum, norm_max, clipped, nonfinite = ops.unstack(
            ops.convert_to_tensor(self._totals), num=len(TOTALS)
        )
        return ops.stack(
            [
                updates + ops.cast(finite, "float32"),
                norm_sum + norm,
                ops.maximum(norm_max, norm),
                clipped + ops.cast(ops.logical_and(finite, is_clipped), "float32"),
                nonfinite + ops.cast(ops.logical_not(finite), "float32"),
            ]
        )
