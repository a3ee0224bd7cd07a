"""Mean and variance that hold beside a large mean, on every backend."""

from keras import ops

from kerakit.ops.replicas import of_replicas


def moments(x, axes, *, synchronized=False):
    """Mean and variance over axes, which stay with length 1.

    `variance = mean((x - mean)^2)`. On the torch backend `keras.ops.moments` takes
    `mean(x^2) - mean(x)^2`, which in float32 loses the variance beside the mean: of mean 300 and
    variance 4 it was off by 0.3 %.

    Args:
        x: Float tensor.
        axes: Tuple of axes.
        synchronized: Whether over the batches of all replicas, which are of one size.

    Returns:
        Tuple of mean and variance (over n, not n - 1), in the dtype of `x`.

    Example:

    >>> mean, variance = moments(ops.array([[1000.0, 1002.0]]), axes=(1,))
    >>> float(mean[0, 0]), float(variance[0, 0])
    (1001.0, 1.0)
    """
    mean = ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=axes, keepdims=True)
    if not synchronized:
        return mean, variance
    # One exchange.
    return moments_of_parts(*ops.unstack(of_replicas(ops.stack([mean, variance])), axis=1))


def moments_of_parts(means, variances):
    """Mean and variance of several parts together, without a difference of large numbers.

    Args:
        means: (N, ...) means of N parts of one size.
        variances: Their variances, likewise.

    Returns:
        Tuple of mean and variance of all of it.

    Example:

    >>> mean, variance = moments_of_parts(ops.array([1.0, 5.0]), ops.array([1.0, 1.0]))
    >>> float(mean), float(variance)
    (3.0, 5.0)
    """
    mean = ops.mean(means, axis=0)
    return mean, ops.mean(variances + ops.square(means - mean), axis=0)
