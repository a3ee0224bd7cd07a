"""Compiled optimizer steps on any backend, and training in float32 or float64."""

import contextlib

import keras
import pytest


@pytest.fixture(params=["float32", "float64"])
def precision(request):
    """Every variable made in the test, learning rates too, has this type."""
    before = keras.config.floatx()
    keras.config.set_floatx(request.param)
    with contextlib.ExitStack() as stack:
        if keras.backend.backend() == "jax" and request.param == "float64":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield request.param
    keras.config.set_floatx(before)


@pytest.fixture
def compiled():
    """Function that turns an optimizer and its variables into a compiled step.

    The step takes a list of gradients and updates the variables.
    """
    return {"tensorflow": _tensorflow_step, "jax": _jax_step}.get(
        keras.backend.backend(), _eager_step
    )


@pytest.fixture
def walk(compiled):
    """Function that gives a variable a stretch of gradients, each with its rate."""
    return _tensorflow_walk if keras.backend.backend() == "tensorflow" else _walk(compiled)


def _tensorflow_step(optimizer, variables, *, jit_compile=False):
    import tensorflow as tf

    optimizer.build(variables)
    return tf.function(
        lambda gradients: optimizer.apply(gradients, variables), jit_compile=jit_compile
    )


def _jax_step(optimizer, variables, *, jit_compile=True):
    import jax

    optimizer.build(variables)
    apply = jax.jit(optimizer.stateless_apply)

    def step(gradients):
        new_variables, new_state = apply(
            [v.value for v in optimizer.variables], gradients, [v.value for v in variables]
        )
        for variable, value in zip(
            [*variables, *optimizer.variables], [*new_variables, *new_state], strict=True
        ):
            variable.assign(value)

    return step


def _eager_step(optimizer, variables, *, jit_compile=False):
    optimizer.build(variables)
    return lambda gradients: optimizer.apply(gradients, variables)


def _tensorflow_walk(optimizer, variable):
    """The steps of a stretch in one graph: a call each would take most of the time."""
    import tensorflow as tf

    optimizer.build([variable])

    @tf.function
    def stretch(gradients, rates):
        for t in tf.range(len(rates)):
            optimizer.learning_rate.assign(rates[t])
            optimizer.apply([gradients[t]], [variable])

    return lambda gradients, rates: stretch(*map(tf.convert_to_tensor, (gradients, rates)))


def _walk(compiled):
    def walk(optimizer, variable):
        step = compiled(optimizer, [variable])

        def stretch(gradients, rates):
            for gradient, rate in zip(gradients, rates, strict=True):
                optimizer.learning_rate = rate
                step([keras.ops.convert_to_tensor(gradient)])

        return stretch

    return walk
