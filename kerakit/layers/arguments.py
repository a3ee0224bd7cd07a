"""A check of arguments that many layers share."""


def check_whole(least=1, **values):
    """Raises a ValueError that names the first value which is no integer of at least `least`."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}, got {value!r}.")
