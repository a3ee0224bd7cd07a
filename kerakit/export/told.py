"""An answer in words, for JSON, and drawn: what `kerakit predict` shows of each image."""

from kerakit.export.captioned import write_captioned
from kerakit.export.file_answers import answered
from kerakit.export.masks_told import masks_told, write_overlay
from kerakit.export.objects_told import objects_told, write_objects
from kerakit.export.video_answers import tell_video


def tell_classes(answer, classes, *, top, threshold):
    """Of a classifier.

    Args:
        answer: A dict as `Served.answer` gives it.
        classes: K names.
        top: How many classes to tell, or None, see `answered`.
        threshold: Not used; the export has its own.

    Returns:
        Columns of text, a dict for JSON, and a function that draws the answer to a file into
        another.
    """
    del threshold
    best, record = answered(answer, classes, top)
    width = max(len(name) for name in classes)
    columns = [f"{name:<{width}}  {p:6.4f}" for name, p in best] or ["none"]
    lines = [f"{name}  {p:.4f}" for name, p in best] or ["none"]
    return columns, record, lambda file, path: write_captioned(file, lines, path)


def tell_objects(answer, classes, *, top, threshold):
    """As `tell_classes`, of a detector: the objects of at least a score."""
    del classes  # the answer names them
    shown = {"threshold": threshold, "top": top}
    columns, record = objects_told(answer, **shown)
    return columns, record, lambda file, path: write_objects(file, answer, path, **shown)


def tell_masks(answer, classes, *, top, threshold):
    """As `tell_classes`, of a segmenter: the share of each class in the image."""
    del threshold
    words, record = masks_told(answer["mask"], classes, top=top)

    def draw(file, path):
        write_overlay(file, answer["mask"], classes, path)

    return words, record, draw


def tell_videos(answer, classes, *, top, threshold):
    """As `tell_classes`, of a model of clips: `answer` is a `VideoAnswer`."""
    del threshold
    columns, record, draw = tell_video(answer, classes, top=top)

    def draw_file(file, path):
        del file  # its frames are at hand
        draw(path)

    return columns, record, draw_file


def teller(task):
    """Which of these functions tells the answers of a task."""
    tellers = {
        "detection": tell_objects,
        "instance_segmentation": tell_objects,
        "segmentation": tell_masks,
        "video": tell_videos,
    }
    return tellers.get(task, tell_classes)
