"""Dense layers, normalisation and activations."""

from kerakit.activations import TABLE


def dense_parameters(inputs, outputs, *, bias=True):
    """Parameters of a dense layer: `(D_in + 1) D_out`; of a linear classifier `(D_in + 1) K`.

    Args:
        inputs: D_in.
        outputs: D_out.
        bias: Whether there is one an output.

    Example:

    >>> dense_parameters(512, 1000)
    513000
    """
    return (inputs + bool(bias)) * outputs


def dense_macs(inputs, outputs, *, positions=1):
    """MACs of a dense layer: `N D_in D_out`.

    Args:
        inputs: D_in.
        outputs: D_out.
        positions: N, how many vectors it is applied to.

    Example:

    >>> dense_macs(512, 1000)
    512000
    """
    return positions * inputs * outputs


def dense_flops(inputs, outputs, *, positions=1):
    """FLOPs of a dense layer: `2 N D_in D_out`.

    With a bias exactly: `(2 D_in - 1) D_out + D_out`.

    Args:
        inputs: D_in.
        outputs: D_out.
        positions: N, how many vectors it is applied to.

    Example:

    >>> dense_flops(512, 1000) == (2 * 512 - 1) * 1000 + 1000
    True
    """
    return 2 * dense_macs(inputs, outputs, positions=positions)


def batch_norm_parameters(channels, *, moving=False):
    """Parameters of batch normalisation: `2 C` trainable; `4 C` with the moving statistics.

    Args:
        channels: C.
        moving: Whether to count the moving mean and variance.

    Example:

    >>> batch_norm_parameters(64), batch_norm_parameters(64, moving=True)
    (128, 256)
    """
    return (4 if moving else 2) * channels


def batch_norm_flops(elements):
    """FLOPs of batch normalisation at inference: 2 an element.

    Its statistics are constants then, so that all it does is `a x + b`.

    Args:
        elements: H W C.

    Example:

    >>> batch_norm_flops(112 * 112 * 64)
    1605632
    """
    return 2 * elements


def layer_norm_parameters(width):
    """Parameters of layer normalisation: `2 d`, gamma and beta.

    Args:
        width: d.

    Example:

    >>> layer_norm_parameters(768)
    1536
    """
    return 2 * width


def layer_norm_flops(elements, *, scale=True, shift=True):
    """FLOPs of a normalisation by an example's own mean and variance: 5 an element, and gamma, beta.

    Sum for the mean, difference from it, square, sum for the variance, division by the
    deviation; then a product and a sum. What is done once for all elements (two divisions, the
    square root) is not counted.

    Args:
        elements: Elements that are normalised.
        scale: Whether there is a gamma.
        shift: Whether there is a beta.

    Example:

    >>> layer_norm_flops(197 * 768)
    1059072
    """  # noqa: E501
    return (5 + bool(scale) + bool(shift)) * elements


def activation_flops(name, elements):
    """FLOPs of an activation function, by `kerakit.activations.TABLE`.

    Args:
        name: A key of the table.
        elements: To how many elements it is applied.

    Raises:
        ValueError: If the table has no such function.

    Example:

    >>> activation_flops("relu", 10), activation_flops("sigmoid", 10), activation_flops("softmax", 10)
    (10, 40, 30)
    """  # noqa: E501
    if name not in TABLE:
        raise ValueError(f"`name` must be one of {', '.join(TABLE)}, got {name!r}.")
    return TABLE[name].flops_per_element * elements
