"""Division of each image by its own brightest pixel."""

from keras import ops


def scale_by_max(images):
    """Divides each image by its largest value, so that dark images reach full range.

    `y = x / max(x)`, the maximum of each example (of a clip as a whole, so that its
    frames keep their brightness relative to each other). An example whose largest value
    is below one grey level (an all-black one) is left as it is.

    Args:
        images: (B, H, W, C) or (B, T, H, W, C) float pixels, 0..255.

    Returns:
        Tensor of the same shape, 0..1 wherever the largest value is at least 1.

    Example:

    >>> import numpy as np
    >>> image = np.array([[[[0.0], [16.0]], [[32.0], [64.0]]]], "float32")
    >>> [float(v) for v in ops.reshape(scale_by_max(image), (-1,))]
    [0.0, 0.25, 0.5, 1.0]
    """
    images = ops.convert_to_tensor(images)
    largest = ops.max(images, axis=tuple(range(1, len(images.shape))), keepdims=True)
    return images / ops.maximum(largest, 1.0)
