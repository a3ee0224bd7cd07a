"""The precision in which a network is trained."""

import contextlib
import functools

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


def convolve_as_float32(model):
    """Has the convolutions of a float16 model sum in float32, where TensorFlow has no GPU.

    What comes in, the kernels and what goes out are rounded to float16 as before, and what is
    between is summed in float32, as a GPU does. TensorFlow's float16 convolutions of a CPU take
    several times as long, and round the gradients more than once. Depthwise and transposed ones
    stay as they are, and those of one frame after the other in `PaddedConv3D`.

    Args:
        model: `keras.Model`.

    Returns:
        How many layers that were.
    """
    if keras.backend.backend() != "tensorflow":
        return 0
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("TPU"):
        return 0
    found = [
        layer
        for layer in model._flatten_layers()
        if hasattr(layer, "convolution_op") and layer.compute_dtype == "float16"
    ]
    for layer in found:
        layer.convolution_op = functools.partial(_as_float32, layer.convolution_op)
    return len(found)


def _as_float32(convolution_op, inputs, kernel):
    inputs, kernel = (keras.ops.cast(x, "float32") for x in (inputs, kernel))
    return keras.ops.cast(convolution_op(inputs, kernel), "float16")
