"""Names of classes that can be written down anywhere."""

from kerakit.errors import InputError


def checked_classes(classes):
    """The names as a tuple, if each is one line of text and none stands twice.

    Raises:
        InputError: If a name is blank, has space around it, breaks a line or is another's.
    """
    classes = tuple(str(name) for name in classes)
    for name in classes:
        if not name.strip() or name != name.strip() or len(name.splitlines()) != 1:
            raise InputError(
                f"A class is called {name!r}; a name is one line of text, not blank, with no "
                "space before or after it."
            )
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise InputError(f"Two classes are both called {repeated[0]!r}; each needs its own name.")
    return classes
