"""What a person and a program are told of the objects of an image."""

import collections

from kerakit.export.drawn import at_a_readable_size, draw_objects, upright


def objects_told(answer, *, threshold, top=None):
    """The objects of at least a score, in words and for JSON.

    Args:
        answer: A dict as `Served.answer` gives it, of a detector.
        threshold: Least score.
        top: At most so many, the surest; None for all.

    Returns:
        List of strings, how many there are of each class and, with `top`, each object; and a
        dict for JSON with `objects`: `class`, `score` and `box` (left, top, right, bottom in
        pixels of the file's image) of each, the surest first.

    Example:

    >>> answer = {"num_detections": 2, "scores": [0.9, 0.3], "class_names": ["cell", "cell"],
    ...           "boxes": [[1.0, 2.0, 8.0, 9.0], [0.0, 0.0, 4.0, 4.0]]}
    >>> objects_told(answer, threshold=0.5)[0]
    ['1 cell']
    >>> objects_told(answer, threshold=0.5, top=5)[0]
    ['1 cell', 'cell 0.90 at 1 2 8 9']
    """
    objects = [
        {
            "class": _as_text(answer["class_names"][k]),
            "score": float(answer["scores"][k]),
            "box": [round(float(edge), 2) for edge in answer["boxes"][k]],
        }
        for k in _kept(answer, threshold, top)
    ]
    counts = collections.Counter(thing["class"] for thing in objects)
    words = [", ".join(f"{number} {name}" for name, number in counts.most_common()) or "nothing"]
    if top is not None:
        words += [
            f"{thing['class']} {thing['score']:.2f} at {' '.join(f'{e:.0f}' for e in thing['box'])}"
            for thing in objects
        ]
    return words, {"objects": objects}


def write_objects(image_file, answer, path, *, threshold, top=None):
    """Writes an image with the objects found drawn into it.

    Args:
        image_file: File of the image, one that the export could read.
        answer: As of `objects_told`.
        path: PNG to write; its folder is made if need be.
        threshold: Least score.
        top: At most so many; None for all.
    """
    kept = _kept(answer, threshold, top)
    image, factor = at_a_readable_size(upright(image_file))
    draw_objects(
        image,
        boxes=[answer["boxes"][k] for k in kept],
        labels=[answer["class_ids"][k] for k in kept],
        texts=[f"{_as_text(answer['class_names'][k])} {answer['scores'][k]:.2f}" for k in kept],
        masks=[answer["masks"][k] for k in kept] if "masks" in answer else None,
        factor=factor,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _kept(answer, threshold, top):
    """Rows of the objects to tell, the surest first."""
    rows = range(int(answer["num_detections"]))
    return [row for row in rows if answer["scores"][row] >= threshold][:top]


def _as_text(name):
    return name.decode() if isinstance(name, bytes) else str(name)
