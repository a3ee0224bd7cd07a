"""Fast forms of operations by TensorFlow's own kernels, for use outside XLA."""

import tensorflow as tf


def under_xla():
    """Whether TensorFlow is tracing what XLA will compile."""
    # Private: TensorFlow tells it nowhere else. A version without it counts as compiling,
    # where the plain form is right, only slower.
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:
        return True
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def fused_batch_normalization(x, gamma, beta, epsilon, moving=()):
    """`kerakit.ops.batch_normalization` in one kernel, float16, bfloat16 or float32.

    `moving`, if given, are the mean and variance to normalise by, which are also returned.
    `tf.nn.fused_batch_norm` would raise an epsilon of 1e-5 to 1.001e-5.
    """
    # The kernel takes (B, H, W, C): what lies between the batch and the channels is one axis.
    # Left alone where it is so already, it fuses with a ReLU behind it.
    channels, is_image = x.shape[-1], len(x.shape) == 4
    images = x if is_image else tf.reshape(x, (tf.shape(x)[0], -1, 1, channels))
    mean, variance = moving or ([], [])
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=not moving,
    )
    y = outputs.y if is_image else tf.reshape(outputs.y, tf.shape(x))
    y.set_shape(x.shape)
    if moving:
        return y, *moving
    # It returns the variance over n - 1 instead of n.
    n = tf.cast(tf.size(x) // channels, "float32")
    return y, outputs.batch_mean, outputs.batch_variance * ((n - 1) / n)


def compiled_by_xla(function):
    """The function as a kernel of XLA's, inside any graph and any SavedModel.

    Keras leaves XLA off on CPU, where whole models can be slower with it. Many small steps over
    the same memory are not: fused into one loop, they read each value once.
    """
    return tf.function(function, jit_compile=True)
