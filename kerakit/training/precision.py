"""The precision in which a network is trained."""

import contextlib

import keras

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


@contextlib.contextmanager
def precision(policy):
    """Layers made within this compute as the policy says; their weights stay float32.

    Args:
        policy: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`, for which Keras also scales
            the loss, so that small gradients do not become 0.

    Raises:
        ValueError: If it is none of these.
    """
    if policy not in POLICIES:
        raise ValueError(f"`policy` must be one of {', '.join(POLICIES)}, got {policy!r}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
