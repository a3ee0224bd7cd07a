"""TensorFlow's error for a broken image, as a reason that a person can read."""

import re

# What the preparation itself says; which image of the batch it was, the caller knows better.
_OWN = re.compile(r"Image \d+ of the batch \(counted from 0\) (is [^\]]*?)\.?\]")
_OF_FRAME = re.compile(r"Frame (\d+) of clip \d+ \(both counted from 0\) (is [^\]]*?)\.?\]")
_FRAMES = re.compile(r"`frames` must hold (\d+) frames a clip, got (\d+)")


def reason(message):
    """The reason for which an image was refused.

    Args:
        message: Text of the `tf.errors.InvalidArgumentError`.

    Returns:
        What is wrong with the image or clip, a phrase that fits after its name.

    Example:

    >>> reason("Graph execution error:\\n\\nInvalid PNG data, size 7\\n\\t [[{{node a}}]]")
    'is damaged or cut short (Invalid PNG data, size 7)'
    """
    if own := _OWN.search(message):
        return own[1]
    if own := _OF_FRAME.search(message):
        return f"has a frame, {own[1]} counted from 0, that {own[2]}"
    if own := _FRAMES.search(message):
        return f"must have {own[1]} frames, got {own[2]}"
    # The decoder's own line stands before the name of the node that raised it.
    told = message.partition("\n\t [[")[0].strip().splitlines() or ["no reason given"]
    return f"is damaged or cut short ({told[-1].strip().rstrip('.')})"
