"""Which examples of a set without a validation part are held out."""

import hashlib
import re

from kerakit.errors import InputError


def held_out(name, *, seed, fraction):
    """Whether the example is held out: by a hash of its name, the same on every machine.

    Each name is decided by itself, so that an example stays on its side when others are
    added or removed.

    Args:
        name: Name of the example, or of the group that must stay together.
        seed: Salt: another seed is another split.
        fraction: Share held out, about; in (0, 1).

    Returns:
        True or False.

    Example:

    >>> sum(held_out(str(i), seed=0, fraction=0.2) for i in range(1000))
    219
    """
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") < fraction * 2**48


def grouping(group_by):
    """What decides the side of an example: its own name, or a text found in it.

    Args:
        group_by: None, or a regular expression to search for in names.

    Returns:
        Function `(name, path)` to the first group of what is found (or, without one, all of
        it), or the name itself; `path` is for the error where nothing is found.

    Raises:
        InputError: If the expression is none.

    Example:

    >>> grouping("([a-z]+)_")("cat/anna_7.png", "photos/cat/anna_7.png")
    'anna'
    """
    if group_by is None:
        return lambda name, path: name
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(
            f"`group_by` must be a regular expression, got {group_by!r}: {error}."
        ) from error

    def group_of(name, path):
        match = pattern.search(name)
        group = match and match[1 if pattern.groups else 0]
        if group is None:
            raise InputError(f"{path}: the group_by {group_by!r} is not found in {name}.")
        return group

    return group_of
