"""Files that are whole or as they were before."""

import contextlib
import os
import pathlib


@contextlib.contextmanager
def replaced(path, *, shared=False):
    """Lends a place beside `path` to write to, which takes its name in one step at the end.

    A reader, or a process that was killed, finds the old file or the new one and never a part.
    If the body fails, nothing is changed.

    Args:
        path: The file; its folder exists.
        shared: Whether several processes may write it at once: each has a place of its own then,
            and the last one's file stays.

    Yields:
        `pathlib.Path` to write to, of the same ending.
    """
    path = pathlib.Path(path)
    own = f"{os.getpid()}." if shared else ""
    temporary = path.with_name(f".{own}{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the name must not outlive the content in a power cut
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
