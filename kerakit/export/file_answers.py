"""An export's answers to image files."""

from kerakit.errors import InputError
from kerakit.image_files import is_video_alone


def file_answers(served, files, *, batch_size=32, explain=False):
    """The answer to each file, or, as text, why there is none.

    Args:
        served: A `Served`.
        files: Paths.
        batch_size: Images computed at once.
        explain: As in `Served.answer`.

    Yields:
        A dict as `Served.answer` gives it, or text that goes on behind the file's name.
    """
    unopened = {}

    def contents():
        for number, file in enumerate(files):
            if is_video_alone(file):
                unopened[number] = "is a video, and this model takes images"
                yield b""
                continue
            try:
                yield file.read_bytes()
            except OSError as error:
                unopened[number] = f"cannot be opened ({error.strerror})"
                yield b""

    answers = served.answer(contents(), batch_size=batch_size, explain=explain)
    for number, answer in enumerate(answers):
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


def answered(answer, classes, top=None):
    """What a person and a program are told of one image.

    Args:
        answer: A dict as `Served.answer` gives it, of either task.
        classes: K names.
        top: How many classes to tell; None for the most probable one, or, where an image may
            have several, all that the export names.

    Returns:
        List of (name, probability), the best first, and a dict for JSON: `class` and
        `probability` of the best one, or `classes` for those that the export names; and `top`.

    Example:

    >>> answer = {"probabilities": [0.75, 0.5], "num_classes": 1}
    >>> answered(answer, ["cat", "dog"])[0], answered(answer, ["cat", "dog"], top=2)[0]
    ([('cat', 0.75)], [('cat', 0.75), ('dog', 0.5)])
    """
    several = "num_classes" in answer
    named = int(answer["num_classes"]) if several else 1
    best = ranked(answer["probabilities"], classes, named if top is None else top)
    listed = [{"class": name, "probability": p} for name, p in best]
    if not several:
        return best, {**listed[0], "top": listed}
    present = ranked(answer["probabilities"], classes, named)
    present = [{"class": name, "probability": p} for name, p in present]
    return best, {"classes": present, "top": listed}
