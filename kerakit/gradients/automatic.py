"""The gradient of a function on the backend that Keras runs on."""

import keras
from keras import ops, tree


def gradient(function, *inputs, variables=()):
    """Gradient of a function's output by its inputs, on TensorFlow, JAX and torch alike.

    An output of many elements counts as their sum. For one score an example, as in a saliency
    map, this gives each example its own gradient.

    Variables are read, never written: what the function would change (moving statistics, a
    seed generator's state) is as before afterwards.

    Args:
        function: Takes tensors and returns one float tensor, or a structure of them. Layers in
            it must be built.
        *inputs: Arrays or tensors. Integers and booleans are passed on and have no gradient.
        variables: Keras variables by which to differentiate as well, such as
            `layer.trainable_variables`.

    Returns:
        Tuple of one gradient an input, None for one that is not float, then one a variable.
        What the output does not depend on has a gradient of zeros.

    Raises:
        ValueError: If the function returns nothing of a float dtype.
        NotImplementedError: If the backend has no automatic gradients.

    Example:

    >>> slope, = gradient(lambda x: x**3, keras.ops.array([1.0, 2.0]))
    >>> [float(x) for x in slope]
    [3.0, 12.0]
    """
    tensors = [_tensor(x) for x in inputs]
    is_float = [keras.backend.is_float_dtype(x.dtype) for x in tensors]
    values = [x for x, ok in zip(tensors, is_float, strict=True) if ok]
    variables = list(variables)

    def total(values):
        given = iter(values)
        arguments = [next(given) if ok else x for x, ok in zip(tensors, is_float, strict=True)]
        outputs = call_with(function, arguments, variables, list(given))
        return sum(ops.sum(output) for output in float_outputs(outputs))

    found = iter(gradient_of_scalar(total, values + [_tensor(v) for v in variables]))
    return (*(next(found) if ok else None for ok in is_float), *found)


def _tensor(x):
    # A Keras variable stays one in `convert_to_tensor`, and no tape watches it.
    return ops.copy(x.value) if isinstance(x, keras.Variable) else ops.convert_to_tensor(x)


def call_with(function, arguments, variables, values):
    """Calls the function as if the variables had these values; no variable is written."""
    with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
        return function(*arguments)


def float_outputs(outputs):
    """The float tensors of a structure, as a list."""
    outputs = [ops.convert_to_tensor(x) for x in tree.flatten(outputs) if x is not None]
    outputs = [x for x in outputs if keras.backend.is_float_dtype(x.dtype)]
    if not outputs:
        raise ValueError("`function` must return at least one float tensor, got none.")
    return outputs


def gradient_of_scalar(function, values):
    """Gradients of a scalar function of one list of tensors, as a list."""
    return gradient_and_extras(lambda values: (function(values), None), values)[0]


def gradient_and_extras(function, values):
    """Gradients of a scalar function, and what it found on the way.

    Args:
        function: Takes a list of tensors and returns a scalar and a structure of tensors.
        values: The tensors.

    Returns:
        List of a gradient each, and the structure.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            total, extras = function(values)
        found = tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(x) for x in found], extras
    if backend == "jax":
        import jax

        return jax.grad(function, has_aux=True)(values)
    if backend == "torch":
        import torch

        values = [x.detach().clone().requires_grad_() for x in values]
        total, extras = function(values)
        if not total.requires_grad:
            return [torch.zeros_like(x) for x in values], extras
        found = torch.autograd.grad(total, values, allow_unused=True)
        found = [
            torch.zeros_like(x) if g is None else g for x, g in zip(values, found, strict=True)
        ]
        return found, extras
    raise NotImplementedError(
        f"Gradients need the tensorflow, jax or torch backend, Keras runs on {backend}."
    )


def compiled(function):
    """The function, traced once where an operation run by itself is slow."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function
