"""Random numbers that are a function of a seed and of the example's place alone."""

import tensorflow as tf


def draw_seeds(seed, count):
    """Seeds apart from each other and from `seed` for `count` independent draws.

    Args:
        seed: int32 (2,).
        count: How many.

    Returns:
        List of int32 (2,) seeds.

    Example:

    >>> one, other = draw_seeds(tf.constant([0, 1]), 2)
    >>> bool(tf.reduce_all(one == other))
    False
    """
    return [tf.random.experimental.stateless_fold_in(seed, number) for number in range(count)]


def draw_uniform(seed, shape, *, low=0.0, high=1.0):
    """Uniform draws in [low, high); those of an example do not depend on the batch's size.

    Args:
        seed: int32 (2,).
        shape: Shape, examples first.
        low: Least value.
        high: Bound above.

    Returns:
        float32 of `shape`.

    Example:

    >>> draw_uniform(tf.constant([0, 1]), (4, 2)).shape
    TensorShape([4, 2])
    """
    # By name: what is chosen by default depends on the device, and with it the numbers.
    return tf.random.stateless_uniform(shape, seed, low, high, alg="philox")


def draw_normal(seed, shape):
    """Draws of the standard normal distribution.

    Args:
        seed: int32 (2,).
        shape: Shape, examples first.

    Returns:
        float32 of `shape`.

    Example:

    >>> draw_normal(tf.constant([0, 1]), (4, 2)).shape
    TensorShape([4, 2])
    """
    return tf.random.stateless_normal(shape, seed, alg="philox")


def draw_events(seed, count, *, probability):
    """Which of `count` examples something happens to.

    Args:
        seed: int32 (2,).
        count: Number of examples, B.
        probability: Of each, in [0, 1].

    Returns:
        (B,) bool.

    Example:

    >>> draw_events(tf.constant([0, 1]), 3, probability=1.0).numpy()
    array([ True,  True,  True])
    """
    return draw_uniform(seed, (count,)) < probability


def draw_beta(seed, count, *, alpha):
    """Draws of the distribution Beta(alpha, alpha), as a ratio of two gamma draws.

    Args:
        seed: int32 (2,).
        count: Number of examples, B.
        alpha: Above 0; 1 is uniform, below 1 the ends are likelier.

    Returns:
        (B,) float32 in [0, 1].

    Example:

    >>> draw_beta(tf.constant([0, 1]), 5, alpha=0.2).shape
    TensorShape([5])
    """
    # In float64: with a small alpha both draws may be below float32's least number.
    both = tf.random.stateless_gamma((count, 2), seed, alpha=alpha, dtype=tf.float64)
    return tf.cast(both[:, 0] / tf.maximum(tf.reduce_sum(both, axis=1), 1e-300), tf.float32)
