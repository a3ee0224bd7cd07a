"""What is said of bad files: an error, or a warning where the user said to go on."""

import warnings

from kerakit.data.check import unreadable_images
from kerakit.errors import InputError

_SHOWN = 5  # names in a message; the others are counted


def some(names):
    """The first names with commas between them, and how many more there are.

    Args:
        names: Iterable of names or paths.

    Returns:
        Text.

    Example:

    >>> some("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = [str(name) for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def complain(problem, skip_bad, *, what="files"):
    """Stops with the problem, or warns of it where the user said to go on.

    Args:
        problem: One sentence without its full stop.
        skip_bad: Whether to go on.
        what: What is left out then.

    Raises:
        InputError: Unless `skip_bad`.
    """
    if not skip_bad:
        raise InputError(f"{problem}, or pass --skip-bad to leave such {what} out.")
    warnings.warn(f"{problem}; left out, as --skip-bad says.", stacklevel=3)


def refused_images(paths, *, root, skip_bad):
    """Those of the image files that cannot be read, after complaining about them.

    Args:
        paths: Paths of the files.
        root: What the set is known by; see `unreadable_images`.
        skip_bad: Whether to go on without them.

    Returns:
        Set of paths to leave out.

    Raises:
        InputError: If there are some, unless `skip_bad`.
    """
    faults = unreadable_images(paths, root=root)
    sentences = {path: f"{path}: not a readable image ({fault})" for path, fault in faults.items()}
    return refused_files(sentences, skip_bad=skip_bad)


def refused_files(faults, *, skip_bad):
    """The paths of files that have faults, after complaining about them.

    Args:
        faults: Dict from path to what is wrong, one sentence without its full stop.
        skip_bad: Whether to go on without them.

    Returns:
        Set of paths to leave out.

    Raises:
        InputError: If there are some, unless `skip_bad`.
    """
    if faults:
        (_, fault), *others = faults.items()
        remedy = "Mend or remove it"
        if others:
            remedy = f"{len(others)} more: {some(path for path, _ in others)}. Mend or remove them"
        complain(f"{fault}. {remedy}", skip_bad)
    return set(faults)
