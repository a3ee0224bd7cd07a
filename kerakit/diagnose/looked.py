"""One look at a model before training: what its layers compute on a few examples, and its loss."""

import warnings
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops, tree

from kerakit.diagnose.heads import Head, heads_of
from kerakit.gradients.automatic import gradient
from kerakit.watching import watching

# Examples that are run: enough for a batch's statistics, few enough that all outputs of all
# layers of a network at 224 x 224 fit in a gigabyte.
MOST_EXAMPLES = 64
LEAST_EXAMPLES = 4
MOST_NUMBERS = 800_000


@dataclass(eq=False)
class Call:
    """One call of a layer or operation.

    Args:
        layer: The layer or operation.
        inputs: The tensors it was given.
        output: Its first output.
        parents: The calls that made its inputs.
        children: The calls that its output was given to.
    """

    layer: keras.Operation
    inputs: list
    output: object
    parents: list = field(default_factory=list)
    children: list = field(default_factory=list)

    @property
    def name(self):
        """The layer's name."""
        return self.layer.name

    @property
    def kernel(self):
        """The layer's kernel, of rank 2 or more, or None."""
        kernel = getattr(self.layer, "kernel", None)
        return kernel if isinstance(kernel, keras.Variable) and len(kernel.shape) > 1 else None

    @property
    def activation(self):
        """Name of the activation it ends in or is, such as "relu", or ""."""
        activation = getattr(self.layer, "activation", None)
        if activation is not None:
            return getattr(activation, "__name__", "")
        return type(self.layer).__name__.lower()

    @property
    def is_convolution(self):
        """Whether it slides its kernel over an image, a clip or a series."""
        return self.kernel is not None and hasattr(self.layer, "kernel_size")

    @property
    def normalises(self):
        """Whether its output has a fixed scale, whatever that of its input."""
        kind = type(self.layer).__name__
        return "Normalization" in kind and kind not in ("Normalization", "FrozenBatchNormalization")

    def following(self, stop):
        """The calls downstream for which `stop(call)` holds, each path's first.

        Args:
            stop: Function of a call.
        """
        found, seen, waiting = [], set(), list(self.children)
        while waiting:
            call = waiting.pop(0)
            if id(call) in seen:
                continue
            seen.add(id(call))
            if stop(call):
                found.append(call)
            else:
                waiting.extend(call.children)
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Looked:
    """What was seen.

    Args:
        model: The model.
        x: The inputs as they were given, NumPy.
        y: The targets as they were given, NumPy, or None.
        calls: One `Call` a call of a layer or operation, in order, in training mode.
        heads: One `Head` a loss.
        loss: Loss of the first step, or None.
        gradients: Dict of a variable's path to its gradient, NumPy; empty if there is no loss.
        num_classes: How many classes the user says there are, or None.
        validation: Inputs and targets of the validation, NumPy, or None.
    """

    model: keras.Model
    x: object
    y: object
    calls: list[Call]
    heads: list[Head]
    loss: float | None
    gradients: dict
    num_classes: int | None
    validation: tuple | None

    @property
    def kernel_calls(self):
        """The calls of layers with a kernel, in order."""
        return [call for call in self.calls if call.kernel is not None]

    @property
    def is_trained(self):
        """Whether the optimizer has made steps, so that nothing is at its start any more."""
        optimizer = getattr(self.model, "optimizer", None)
        return optimizer is not None and int(optimizer.iterations) > 0


def look(model, x, y=None, *, classes=None, validation=None):
    """Runs the model on some of the examples, in training mode; nothing of it is changed.

    Args:
        model: A built model, best compiled.
        x: Inputs (B, ...) as `fit` takes them: an array, or a list or dict of arrays.
        y: Targets, likewise, or None.
        classes: Number of classes, their names, or None.
        validation: (x, y) of the validation set, or None.

    Returns:
        A `Looked`.

    Raises:
        ValueError: If the model is not built, there are no examples, there are not as many targets,
            or `validation` is no pair.
    """
    if not model.built:
        raise ValueError("`model` must be built: call it on a batch once, or give it an Input.")
    x, y = tree.map_structure(to_numpy, x), tree.map_structure(to_numpy, y)
    if not tree.flatten(x) or not np.ndim(tree.flatten(x)[0]):
        raise ValueError(
            "`x` must be arrays (B, ...); of a dataset give a batch: `x, y = next(iter(dataset))`."
        )
    counts = {len(leaf) for leaf in tree.flatten((x, y)) if leaf is not None and np.ndim(leaf)}
    if 0 in counts or len({len(leaf) for leaf in tree.flatten(x)}) > 1:
        raise ValueError("`x` must have at least one example, and as many in each array.")
    if len(counts) > 1:
        raise ValueError(f"`x` and `y` must be of as many examples, got {sorted(counts)}.")
    some_x, some_y = some_examples(x, y)
    calls, outputs = recorded(model, some_x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of a second softmax; the rules say it better
        loss, gradients = _first_step(model, some_x, some_y, outputs)
    heads = heads_of(model, y, some_y, tree.map_structure(to_numpy, outputs))
    if validation is not None:
        if not isinstance(validation, tuple | list):
            kind = type(validation).__name__
            raise ValueError(
                f"`validation` must be (x, y), got a {kind}; of a dataset give a batch."
            )
        validation = tuple(tree.map_structure(to_numpy, part) for part in tuple(validation)[:2])
    num_classes = classes if classes is None or np.ndim(classes) == 0 else len(classes)
    return Looked(
        model=model,
        x=x,
        y=y,
        calls=calls,
        heads=heads,
        loss=loss,
        gradients=gradients,
        num_classes=num_classes,
        validation=validation,
    )


def to_numpy(value):
    """A leaf as NumPy, narrow floats as float32; None stays."""
    if value is None or isinstance(value, np.ndarray):
        return value
    value = ops.convert_to_numpy(value) if ops.is_tensor(value) else np.asarray(value)
    return value.astype("float32") if value.dtype.name in ("bfloat16", "float16") else value


def some_examples(x, y, *, most=MOST_EXAMPLES):
    """Some of the examples, evenly over all, as examples are often sorted by class.

    Args:
        x: Arrays (B, ...), or a structure of them.
        y: Likewise, or None.
        most: How many at most.

    Returns:
        x and y with fewer examples.
    """
    leaves = tree.flatten(x)
    size = sum(int(np.prod(leaf.shape[1:])) for leaf in leaves)
    count = int(np.clip(MOST_NUMBERS // max(size, 1), LEAST_EXAMPLES, most))
    have = len(leaves[0])
    if have <= count:
        return x, y
    chosen = np.linspace(0, have - 1, count).round().astype(int)

    def take(leaf):
        return leaf[chosen] if leaf is not None and np.ndim(leaf) and len(leaf) == have else leaf

    return tree.map_structure(take, x), tree.map_structure(take, y)


def recorded(model, x):
    """Runs the model in training mode and keeps every call.

    Args:
        model: A built model.
        x: Its inputs.

    Returns:
        List of `Call`, and the model's outputs.
    """
    calls, made_by = [], {}

    def record(original, operation, arguments, options, *, of_graph):
        outputs = original(operation, *arguments, **options)
        made = [t for t in tree.flatten(outputs) if ops.is_tensor(t)]
        given = [t for t in tree.flatten((arguments, options)) if ops.is_tensor(t)]
        if not made or operation is model or any(isinstance(t, keras.KerasTensor) for t in made):
            return outputs
        # What a composite hands on as it is stays its last layer's.
        if all(id(t) in made_by for t in made):
            return outputs
        call = Call(operation, given, made[0])
        for tensor in given:
            parent = made_by.get(id(tensor))
            if parent is not None and parent not in call.parents:
                call.parents.append(parent)
                parent.children.append(call)
        for tensor in made:
            made_by.setdefault(id(tensor), call)
        calls.append(call)
        return outputs

    x = tree.map_structure(ops.convert_to_tensor, x)
    # Moving statistics and seeds are written to the scope, and so are not.
    with keras.StatelessScope(), watching(record):
        outputs = model(x, training=True)
    return calls, outputs


def _first_step(model, x, y, outputs):
    """Loss and gradients of the first step; (None, {}) where they cannot be had."""
    if y is None or getattr(model, "optimizer", None) is None:
        return None, {}
    x, y = (tree.map_structure(ops.convert_to_tensor, part) for part in (x, y))
    try:
        # Outside any scope at first, as Keras makes the losses' metrics then.
        loss = float(model.compute_loss(x=x, y=y, y_pred=outputs, training=True))
        model.reset_metrics()

        def total():
            found = model(x, training=True)
            return model.compute_loss(x=x, y=y, y_pred=found, training=True)

        variables = model.trainable_variables
        slopes = gradient(total, variables=variables)
    except Exception:  # whatever a user's loss may raise; the rules that need it stay silent
        return None, {}
    slopes = (to_numpy(slope) for slope in slopes)
    return loss, {v.path: slope for v, slope in zip(variables, slopes, strict=True)}
