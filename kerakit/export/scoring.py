"""How well an export does on images, or clips, that its model was not trained on."""

import collections
import pathlib

import numpy as np

from kerakit.errors import InputError
from kerakit.export.detection_scoring import detection_figures
from kerakit.export.segmentation_scoring import segmentation_figures
from kerakit.metrics import ConfusionMatrix
from kerakit.metrics.multi_label_figures import multi_label_figures


def score(served, data, *, batch_size=32):
    """The export's own figures on the encoded images of the validation part.

    What is measured is the whole of what a server does: files in, answers out.

    Args:
        served: A `Served`.
        data: `kerakit.data.Data` of the export's task; its `val_source` is read.
        batch_size: Images that are computed at once.

    Returns:
        A dict: `images`, how many, and, each from 0 to 1, `accuracy`, `precision_macro`,
        `recall_macro` and `f1_macro`; for several labels an image, what
        `multi_label_figures` gives, of the classes that the export names; for objects COCO's
        figures, `mAP` and so on; for masks those of `SegmentationScores`.

    Raises:
        InputError: If the task or the classes are not the export's, or an image cannot be read.
    """
    _check_classes(served, data)
    if not data.val_source.size:
        raise InputError(f"{data.name} has no validation images to evaluate on.")
    task, labels, masks = served.card["task"], [], collections.deque()

    def encoded():
        for example in data.val_source.encoded_dataset():
            labels.append(example["label"].numpy() if "label" in example else None)
            if "mask" in example:
                masks.append(example["mask"].numpy())
            yield _sent(example, served.sampling)

    def answers():
        for number, answer in enumerate(served.answer(encoded(), batch_size=batch_size)):
            if isinstance(answer, InputError):
                one = "clip" if task == "video" else "image"
                raise InputError(f"{data.name}: validation {one} {number} {answer}.")
            yield answer

    if task == "segmentation":
        # Each is let go with its image: those of a large set need much memory.
        pairs = ((masks.popleft(), answer["mask"]) for answer in answers())
        return segmentation_figures(pairs, served.classes)
    if task not in _FIGURES:
        with_masks = task == "instance_segmentation"
        return detection_figures(answers(), data.val_source, served.classes, masks=with_masks)
    needed, figures_of = _FIGURES[task]
    found = [[answer[name] for name in needed] for answer in answers()]
    columns = (np.stack(column) for column in zip(*found, strict=True))
    return {"images": len(found), **figures_of(np.stack(labels), served.classes, *columns)}


def _sent(example, sampling):
    """What a client sends: the file, or the frames of a clip that it has cut."""
    if sampling is None:
        return example["encoded"].numpy()
    frames = example["frames"].numpy()
    return list(frames[sampling.even(len(frames)).numpy()[0]])


def _one_label(labels, classes, class_id):
    matrix = ConfusionMatrix(len(classes), classes=classes, from_scores=False, averages=("macro",))
    matrix.update_state(labels, class_id)
    return {name: float(value) for name, value in matrix.result().items()}


def _several_labels(labels, classes, logits, class_ids):
    named = np.zeros((len(labels), len(classes) + 1), bool)
    np.put_along_axis(named, class_ids, True, axis=1)  # -1, none, is the last column
    return multi_label_figures(labels, logits, named[:, :-1])[0]


# For each task of labels the outputs that its figures come from.
_FIGURES = {
    "classification": (("class_id",), _one_label),
    "video": (("class_id",), _one_label),
    "multi_label": (("logits", "class_ids"), _several_labels),
}


def split_of(card, source):
    """The settings by which the model's run divided these data, where it learnt from them.

    Videos are put to the frames a second of the model's own, whichever they are.

    Args:
        card: Content of the export's `card.json`.
        source: Name of the data, as `kerakit.data.load` takes it.

    Returns:
        Keyword arguments of `kerakit.data.load`.
    """
    rate = card.get("frame_rate")
    of_videos = {"frame_rate": rate} if rate and source.startswith("clips:") else {}
    if _place((card.get("data") or {}).get("name") or "") != _place(source):
        return of_videos
    config = card.get("config") or {}
    given = {name: config[name] for name in ("val_fraction", "skip_bad") if name in config}
    return {**of_videos, **given, "group_by": config.get("group_by") or None}


def _place(source):
    kind, colon, place = source.partition(":")
    # By its own name alone, as a card has it of a folder that was given with its whole place.
    return (kind, pathlib.Path(place).resolve().name if colon else None)


def _check_classes(served, data):
    if data.task != served.card["task"]:
        raise InputError(
            f"{data.name} was loaded for {data.task}, and {served.folder} is for "
            f"{served.card['task']}: load it with task={served.card['task']!r}."
        )
    if tuple(data.classes) == served.classes:
        return
    if set(data.classes) == set(served.classes):
        raise InputError(
            f"{data.name} has the classes of {served.folder} in another order: "
            f"{_short(data.classes)} against {_short(served.classes)}."
        )
    raise InputError(
        f"{data.name} has the classes {_short(data.classes)}, and {served.folder} answers with "
        f"{_short(served.classes)}; evaluate it on data of its own classes."
    )


def _short(names):
    shown = ", ".join(names[:10])
    return f"{shown} ... ({len(names)} in all)" if len(names) > 10 else shown
