"""How well an export does on images that its model was not trained on."""

import pathlib

from kerakit.errors import InputError
from kerakit.metrics import ConfusionMatrix


def score(served, data, *, batch_size=32):
    """The export's own figures on the encoded images of the validation part.

    What is measured is the whole of what a server does: files in, answers out.

    Args:
        served: A `Served` classifier.
        data: `kerakit.data.Data`; its `val_source` is read.
        batch_size: Images that are computed at once.

    Returns:
        A dict: `images`, how many, and `accuracy`, `precision_macro`, `recall_macro` and
        `f1_macro`, each from 0 to 1.

    Raises:
        InputError: If the classes are not the export's, or an image cannot be read.
    """
    _check_classes(served, data)
    matrix = ConfusionMatrix(
        len(served.classes), classes=served.classes, from_scores=False, averages=("macro",)
    )
    labels = []

    def encoded():
        for example in data.val_source.encoded_dataset():
            labels.append(int(example["label"]))
            yield example["encoded"].numpy()

    predicted = []
    for number, answer in enumerate(served.answer(encoded(), batch_size=batch_size)):
        if isinstance(answer, InputError):
            raise InputError(f"{data.name}: validation image {number} {answer}.")
        predicted.append(int(answer["class_id"]))
    if not predicted:
        raise InputError(f"{data.name} has no validation images to evaluate on.")
    matrix.update_state(labels, predicted)
    figures = {name: float(value) for name, value in matrix.result().items()}
    return {"images": len(predicted), **figures}


def split_of(card, source):
    """The settings by which the model's run divided these data, where it learnt from them.

    Args:
        card: Content of the export's `card.json`.
        source: Name of the data, as `kerakit.data.load` takes it.

    Returns:
        Keyword arguments of `kerakit.data.load`.
    """
    if _place((card.get("data") or {}).get("name") or "") != _place(source):
        return {}
    config = card.get("config") or {}
    given = {name: config[name] for name in ("val_fraction", "skip_bad") if name in config}
    return {**given, "group_by": config.get("group_by") or None}


def _place(source):
    kind, colon, place = source.partition(":")
    return (kind, pathlib.Path(place).resolve() if colon else None)


def _check_classes(served, data):
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
