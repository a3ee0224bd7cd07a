"""What the builders of a family share: how they are named, and checks of their arguments."""


def member(build, name, summary):
    """A family's builder under the name of one size.

    A family has one function with the arguments, made anew for each size; `help` shows each with
    the same arguments and with its own first line.

    Args:
        build: Function with a docstring, made for this size.
        name: Name of the builder, and of its models.
        summary: First line of its docstring.

    Returns:
        The function.
    """
    build.__name__ = build.__qualname__ = name
    build.__kwdefaults__ = {**build.__kwdefaults__, "name": name}
    _, _, rest = build.__doc__.partition("\n")
    build.__doc__ = f"{summary}\n{rest}"
    return build


def check_classifier(num_classes, *, width=1.0, drop_rate=0.0):
    """Raises a ValueError unless the arguments are in range."""
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"`num_classes` must be a positive integer, got {num_classes!r}.")
    if width <= 0:
        raise ValueError(f"`width` must be positive, got {width}.")
    if not 0 <= drop_rate < 1:
        raise ValueError(f"`drop_rate` must be in [0, 1), got {drop_rate}.")


def check_clips(input_shape):
    """Raises a ValueError unless it has the four sizes of a clip, of which some may be unknown."""
    if len(input_shape) != 4:
        raise ValueError(f"`input_shape` must be (T, H, W, C), got {tuple(input_shape)}.")


def scaled(filters, width):
    """Filters times a width factor, at least 1."""
    return max(1, round(filters * width))
