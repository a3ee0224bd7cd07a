"""What a card says, without the places of files on the machine that wrote it."""

import os
import re
import shlex

# An absolute path, perhaps behind the kind of the data or the name of an option.
_PATH = re.compile(r"(?:^|(?<=[:=]))/.+", re.DOTALL)


def placeless(value):
    """A value in which files and folders of this machine are called by their own names alone.

    A card is published, and where its maker keeps things is nobody's business. The run's own
    folder has the whole command.

    Args:
        value: What JSON can hold; also a command in its texts is looked through.

    Returns:
        The same with `coco:/home/me/cells` as `coco:cells`. Only of what exists here, so that a
        pattern such as `/(.+)_` stays; also relative paths do.
    """
    if isinstance(value, dict):
        return {key: placeless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [placeless(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError:  # no command, as its quotes do not match
        words = []
    for word in words:
        value = value.replace(shlex.quote(word), shlex.quote(_PATH.sub(_name, word)))
    return _PATH.sub(_name, value)


def _name(found):
    path = found[0]
    return os.path.basename(path.rstrip("/")) if os.path.exists(path) else path
