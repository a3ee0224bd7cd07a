"""A choice of operations an image, in an order of its own."""

import tensorflow as tf


def in_order(operations):
    """Makes a compiled function that applies operations to each image in its own order.

    Compiled by XLA into one loop over the images, in which each takes only the operations it
    has drawn, and stays in the processor's cache meanwhile.

    Args:
        operations: List of functions `operation(image, argument)` of one image (h, w, c)
            float32 of whole numbers 0..255 and a float32 (A,), which give such an image.

    Returns:
        `function(images, chosen, arguments)` of uint8 (B, h, w, c), int32 (B, S), which
        operation is S-th, and its float32 (B, S, A) argument; gives uint8 (B, h, w, c).

    Example:

    >>> add, double = lambda x, a: x + a[0], lambda x, a: 2.0 * x
    >>> both_ways = in_order([add, double])
    >>> images, ones = tf.ones((2, 1, 1, 1), tf.uint8), tf.ones((2, 2, 1))
    >>> both_ways(images, tf.constant([[0, 1], [1, 0]]), ones).numpy().ravel().tolist()
    [4, 3]
    """

    def one(example):
        image, chosen, arguments = example

        def step(place, image):
            branches = [
                lambda operation=operation: operation(image, arguments[place])
                for operation in operations
            ]
            return place + 1, tf.switch_case(chosen[place], branches)

        steps = tf.shape(chosen)[0]
        start = (tf.constant(0), tf.cast(image, tf.float32))
        _, image = tf.while_loop(lambda place, _: place < steps, step, start)
        return tf.cast(image, tf.uint8)

    @tf.function(jit_compile=True, autograph=False)
    def function(images, chosen, arguments):
        return tf.map_fn(one, (images, chosen, arguments), fn_output_signature=tf.uint8)

    return function
