"""TensorFlow's error for a broken image, as a reason that a person can read."""

import re

# What the preparation itself says; which image of the batch it was, the caller knows better.
_OWN = re.compile(r"Image \d+ of the batch \(counted from 0\) (is [^\]]*?)\.?\]")


def reason(message):
    """The reason for which an image was refused.

    Args:
        message: Text of the `tf.errors.InvalidArgumentError`.

    Returns:
        What is wrong with the image, a phrase that fits after its name.

    Example:

    >>> reason("Graph execution error:\\n\\nInvalid PNG data, size 7\\n\\t [[{{node a}}]]")
    'is damaged or cut short (Invalid PNG data, size 7)'
    """
    own = _OWN.search(message)
    if own:
        return own[1]
    # The decoder's own line stands before the name of the node that raised it.
    told = message.partition("\n\t [[")[0].strip().splitlines() or ["no reason given"]
    return f"is damaged or cut short ({told[-1].strip().rstrip('.')})"
