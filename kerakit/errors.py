"""The one error for what a user gave, and how a program ends on it."""

import contextlib
import sys


class InputError(ValueError):
    """Something that the user gave is wrong: data, a file, a folder or a setting.

    Its message is one plain sentence that names what is wrong, where, and what
    would be right, so that a command can print it without a traceback.
    """


@contextlib.contextmanager
def one_sentence():
    """Ends the program with exit code 2 and the message alone on an `InputError`.

    Any other exception is a fault of the program and keeps its traceback.
    """
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
