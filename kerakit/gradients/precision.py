"""Real float64 on every backend, for what differences of floats are taken of."""

import contextlib

import keras


@contextlib.contextmanager
def float64_scope():
    """Context in which float64 stays float64 on every backend.

    On TensorFlow it does. JAX makes it float32 unless told otherwise; and on all backends but
    TensorFlow Keras's own type promotion does, whatever JAX was told: on JAX `keras.ops.tanh`
    of a float64 tensor is then float32, off by up to 1e-7.

    `check` opens this scope by itself, but weights are made before: make the layers of a
    gradient check inside it, with `dtype="float64"`.

    Returns:
        A context manager.

    Example:

    >>> with float64_scope():
    ...     x = keras.ops.convert_to_tensor(0.5, dtype="float64")
    ...     print(keras.backend.standardize_dtype(keras.ops.tanh(x).dtype))
    float64
    """
    if keras.backend.backend() == "tensorflow":
        yield
        return
    # Private: Keras has no switch. Where a version of it lacks this table, `check` refuses what
    # comes out as float32, as it does anything else that is not float64.
    from keras.src.backend.common import dtypes

    table = getattr(dtypes, "BIT64_TO_BIT32_DTYPE", {})
    before = table.get("float64")
    with contextlib.ExitStack() as stack:
        if keras.backend.backend() == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        if before is not None:
            stack.callback(table.__setitem__, "float64", before)
            table["float64"] = "float64"
        yield
