"""A model trained for a few steps and given back as it was."""

import contextlib
import itertools

import keras
import numpy as np
from keras import ops, tree

from kerakit.diagnose.looked import to_numpy


@contextlib.contextmanager
def borrowed(model, *, learning_rate=None):
    """Lends a compiled model to train; its weights, optimizer and metrics are restored after.

    It trains with a fresh optimizer of the same settings, so that the model's own, its moments
    and its count of steps are not touched.

    Args:
        model: A built and compiled `keras.Model`.
        learning_rate: In place of the optimizer's own number or schedule; None to keep that.

    Yields:
        The model.

    Raises:
        ValueError: If the model is not built and compiled.
    """
    if not model.built or getattr(model, "optimizer", None) is None:
        raise ValueError("`model` must be built and compiled.")
    own = model.optimizer
    before = [ops.copy(variable.value) for variable in model.variables]
    try:
        _train_with(model, _fresh(own, learning_rate))
        yield model
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        _train_with(model, own)
        model.reset_metrics()


def step(model, x, y):
    """Trains one step, and returns its loss.

    Args:
        model: The borrowed model.
        x: Inputs of the batch.
        y: Its targets.
    """
    model.reset_metrics()  # or the loss is a mean over steps
    return float(model.train_on_batch(x, y, return_dict=True)["loss"])


def batches(x, y, *, batch_size, seed=0):
    """Endless batches of examples in shuffled order.

    Args:
        x: Arrays (B, ...), or a structure of them.
        y: Likewise.
        batch_size: Examples in a batch; all, if there are fewer.
        seed: Of the order.
    """
    x, y = tree.map_structure(to_numpy, x), tree.map_structure(to_numpy, y)
    count = len(tree.flatten(x)[0])
    size = min(batch_size, count)
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            chosen = order[start : start + size]
            yield tuple(tree.map_structure(lambda leaf: leaf[chosen], part) for part in (x, y))  # noqa: B023


def losses_of(model, x, y, *, steps, batch_size, seed=0):
    """Losses of some steps of training, up to the first that is not finite.

    Args:
        model: The borrowed model.
        x: Inputs (B, ...).
        y: Targets.
        steps: How many.
        batch_size: Examples a step.
        seed: Of the order.

    Returns:
        Tuple of at most `steps` losses.
    """
    found = []
    for batch in itertools.islice(batches(x, y, batch_size=batch_size, seed=seed), steps):
        found.append(step(model, *batch))
        if not np.isfinite(found[-1]):
            break
    return tuple(found)


def _fresh(optimizer, learning_rate):
    config = optimizer.get_config()
    fresh = type(optimizer).from_config(config)
    if learning_rate is not None:
        # A schedule cannot be set to a number; a new optimizer may have one from the start.
        inner = getattr(fresh, "inner_optimizer", fresh)
        inner._learning_rate = keras.Variable(
            learning_rate, name="learning_rate", dtype="float32", trainable=False
        )
    return fresh


def _train_with(model, optimizer):
    # What `compile` does about its optimizer, and nothing else of it.
    model.optimizer = optimizer
    model.train_function = None
