"""An export's answers to image files."""

from kerakit.errors import InputError


def file_answers(served, files, *, batch_size=32):
    """The answer to each file, or, as text, why there is none.

    Args:
        served: A `Served`.
        files: Paths.
        batch_size: Images computed at once.

    Yields:
        A dict as `Served.answer` gives it, or text that goes on behind the file's name.
    """
    unopened = {}

    def contents():
        for number, file in enumerate(files):
            try:
                yield file.read_bytes()
            except OSError as error:
                unopened[number] = f"cannot be opened ({error.strerror})"
                yield b""

    for number, answer in enumerate(served.answer(contents(), batch_size=batch_size)):
        refused = isinstance(answer, InputError)
        yield unopened.get(number, str(answer)) if refused else answer


def ranked(probabilities, classes, top):
    """The most probable classes, the best first; of two alike the first, as argmax takes it.

    Args:
        probabilities: (K,) numbers.
        classes: K names.
        top: How many to name.

    Returns:
        List of (name, probability).

    Example:

    >>> ranked([0.25, 0.5, 0.25], ["a", "b", "c"], 2)
    [('b', 0.5), ('a', 0.25)]
    """
    order = sorted(range(len(classes)), key=lambda k: (-probabilities[k], k))[:top]
    return [(classes[k], float(probabilities[k])) for k in order]
