"""A closer look at a model on one fixed batch: gradients, dead units, moving statistics."""

import functools

import keras
import numpy as np
from keras import ops, tree

from kerakit.diagnose.looked import to_numpy
from kerakit.gradients.automatic import compiled, gradient_and_extras
from kerakit.watching import watching

# Examples of a probe: of small images as many as their statistics need, of large ones few, as a
# look is to cost about as much as a step.
MOST_EXAMPLES, LEAST_EXAMPLES, MOST_NUMBERS = 64, 4, 100_000
# Gradients in float16 are taken of a loss times this, or small ones would be 0.
HALF_SCALE = 1024.0
_RELUS = ("relu", "relu6")


class Probe:
    """Figures of a model on a fixed batch. Nothing of the model is changed.

    Args:
        model: A compiled and built `keras.Model`.
        x: Inputs of the batch, an array or a structure of arrays.
        y: Its targets, likewise.
    """

    def __init__(self, model, x, y):
        self.model = model
        x, y = tree.map_structure(to_numpy, (x, y))
        self.x, self.y = tree.map_structure(functools.partial(_first, most=_count(x)), (x, y))
        self._seen_twice = _has_moving_statistics(model)
        self._norms = {}  # layer -> momentum and epsilon, found while it is traced
        self._figures = compiled(self._traced)

    def look(self):
        """The figures as they are now.

        Returns:
            Dict of figures of the model, and dict of a layer's path to a dict of its own, as
            `Look` has them.
        """
        kernels, trained, others = self._variables()
        values = [[variable.value for variable in part] for part in (trained, others)]
        x, y = tree.map_structure(ops.convert_to_tensor, (self.x, self.y))
        model, layers = tree.map_structure(to_numpy, self._figures(*values, x, y))
        model = {name: float(value) for name, value in model.items()}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            layers = {name: _told(row, self._norms.get(name)) for name, row in layers.items()}
        for kernel in kernels:
            layers[path_of(kernel)]["weight_norm"] = norm_of(to_numpy(kernel.value))
        # Those with a kernel first, in the model's order.
        order = [path_of(kernel) for kernel in kernels]
        return model, {name: layers[name] for name in dict.fromkeys([*order, *layers])}

    def _variables(self):
        trained = self.model.trainable_variables
        return kernels_of(self.model), trained, self.model.non_trainable_variables

    def _traced(self, trained, others, x, y):
        kernels, trained_variables, other_variables = self._variables()
        scale = HALF_SCALE if self.model.compute_dtype == "float16" else 1.0

        def loss_of(values, *, training, seen=None):
            variables = zip(trained_variables + other_variables, [*values, *others], strict=True)
            with keras.StatelessScope(state_mapping=list(variables)):
                with watching(_recording({} if seen is None else seen, self._norms)):
                    outputs = self.model(x, training=training)
                return self.model.compute_loss(x=x, y=y, y_pred=outputs, training=training)

        def first(values):
            seen = {}
            loss = loss_of(values, training=True, seen=seen)
            return loss * scale, (loss, seen)

        slopes, (loss, layers) = gradient_and_extras(first, list(trained))
        norms = [_norm(slope) / scale for slope in slopes]
        for variable, norm in zip(trained_variables, norms, strict=True):
            if any(variable is kernel for kernel in kernels):
                layers.setdefault(path_of(variable), {})["gradient_norm"] = norm
        whole = ops.sqrt(sum(ops.square(norm) for norm in norms)) if norms else ops.zeros(())
        model = {"probe_loss": loss, "gradient_norm": whole}
        if self._seen_twice:
            model["inference_loss"] = loss_of(trained, training=False)
        return model, layers


def kernels_of(model):
    """The trainable variables of rank 2 or more, the largest of each layer.

    Args:
        model: A built model.
    """
    found = {}
    for variable in model.trainable_variables:
        size = int(np.prod(variable.shape))
        if len(variable.shape) > 1 and size > found.get(path_of(variable), (0, None))[0]:
            found[path_of(variable)] = size, variable
    return [variable for _, variable in found.values()]


def path_of(variable):
    """Path of the layer that a variable belongs to.

    Args:
        variable: A Keras variable.
    """
    return variable.path.rpartition("/")[0] or variable.path


def norm_of(array):
    """Euclidean norm; infinite, without a warning, where its square is.

    Args:
        array: A NumPy array of any shape.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(array))


def _recording(seen, norms):
    """A handler for `watching` that keeps figures of ReLUs and batch normalisations."""

    def record(original, operation, arguments, options, *, of_graph):
        name = getattr(operation, "path", None) or operation.name
        # Before the call, which moves the statistics.
        if isinstance(operation, keras.layers.BatchNormalization) and operation.trainable:
            seen.setdefault(name, {}).update(_drift(operation, arguments[0]))
            norms[name] = operation.momentum, operation.epsilon
        outputs = original(operation, *arguments, **options)
        if _is_relu(operation) and ops.is_tensor(outputs) and len(outputs.shape) > 1:
            seen.setdefault(name, {}).update(_dead(outputs))
        return outputs

    return record


def _is_relu(operation):
    kind = type(operation).__name__.lower()
    activation = getattr(getattr(operation, "activation", None), "__name__", "")
    return kind in _RELUS or activation in _RELUS


def _dead(outputs):
    """The largest output of each unit, and from how many values."""
    units = ops.max(ops.cast(outputs, "float32"), axis=tuple(range(len(outputs.shape) - 1)))
    return {"largest": units, "values_a_unit": ops.size(outputs) // ops.size(units)}


def _drift(layer, inputs):
    """The batch's statistics and the moving ones, by channel."""
    inputs = ops.cast(inputs, "float32")
    axis = layer.axis % len(inputs.shape)
    mean, variance = ops.moments(inputs, axes=[i for i in range(len(inputs.shape)) if i != axis])
    moving_mean = ops.cast(layer.moving_mean, "float32")
    moving_variance = ops.cast(layer.moving_variance, "float32")
    return {"statistics": ops.stack([mean, variance, moving_mean, moving_variance])}


def _told(figures, settings):
    """A layer's figures as plain numbers; counted here, as a graph of medians is slow to trace."""
    told = {name: float(figures[name]) for name in ("gradient_norm",) if name in figures}
    if "largest" in figures:
        told["dead_share"] = float(np.mean(figures["largest"] <= 0))
        told["values_a_unit"] = float(figures["values_a_unit"])
    if "statistics" in figures:
        momentum, epsilon = settings
        mean, variance, moving_mean, moving_variance = figures["statistics"]
        away = np.abs(moving_mean - mean) / np.sqrt(variance + epsilon)
        factor = np.log((moving_variance + epsilon) / (variance + epsilon))
        told["momentum"] = momentum
        told["mean_drift"] = float(np.median(away))
        told["variance_drift"] = float(np.median(np.abs(factor)))
    return told


def _norm(slope):
    return ops.sqrt(ops.sum(ops.square(ops.cast(slope, "float32"))))


def _has_moving_statistics(model):
    return any(
        isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers()
    )


def _count(x):
    leaves = tree.flatten(x)
    numbers = sum(int(np.prod(leaf.shape[1:])) for leaf in leaves)
    return int(np.clip(MOST_NUMBERS // max(numbers, 1), LEAST_EXAMPLES, MOST_EXAMPLES))


def _first(leaf, *, most):
    return leaf[:most] if leaf is not None and np.ndim(leaf) else leaf
