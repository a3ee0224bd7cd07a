"""What the arguments of several transforms must be."""


def check_share(name, value):
    """Raises a ValueError unless the value is in [0, 1].

    Args:
        name: The argument's name, for the message.
        value: Its value.

    Raises:
        ValueError: If it is not.

    Example:

    >>> check_share("probability", 2)
    Traceback (most recent call last):
    ValueError: `probability` must be in [0, 1], got 2.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], got {value}.")


def check_fill(value):
    """Raises a ValueError unless the value is one of a pixel.

    Args:
        value: Value of the argument `fill`.

    Raises:
        ValueError: If it is not in [0, 255].

    Example:

    >>> check_fill(-1)
    Traceback (most recent call last):
    ValueError: `fill` must be in [0, 255], got -1.
    """
    if not 0 <= value <= 255:
        raise ValueError(f"`fill` must be in [0, 255], got {value}.")


def check_range(name, value, *, low, high=float("inf")):
    """Raises a ValueError unless the value is a pair in order, above `low`, at most `high`.

    Args:
        name: The argument's name, for the message.
        value: Its value.
        low: Bound below, itself not allowed.
        high: Largest value allowed.

    Returns:
        The pair, as a tuple.

    Raises:
        ValueError: If it is not.

    Example:

    >>> check_range("scale", (0.5, 0.1), low=0, high=1)
    Traceback (most recent call last):
    ValueError: `scale` must be (least, largest) in (0, 1], got (0.5, 0.1).
    """
    pair = tuple(value)
    if len(pair) != 2 or not low < pair[0] <= pair[1] <= high:
        end = f"{high}]" if high < float("inf") else "infinity)"
        raise ValueError(f"`{name}` must be (least, largest) in ({low}, {end}, got {value}.")
    return pair


def check_size(value):
    """Raises a ValueError unless the value is a height and a width in whole pixels.

    Args:
        value: Value of the argument `size`.

    Returns:
        (height, width), as a tuple.

    Raises:
        ValueError: If it is not.

    Example:

    >>> check_size((224, 0))
    Traceback (most recent call last):
    ValueError: `size` must be (height, width), both at least 1, got (224, 0).
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(side, int) and side >= 1 for side in pair):
        raise ValueError(f"`size` must be (height, width), both at least 1, got {value}.")
    return pair
