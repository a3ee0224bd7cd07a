"""The one door to data."""

import pathlib

from kerakit.data.digits import load_digits
from kerakit.data.folder import load_folder
from kerakit.data.table import load_table
from kerakit.data.tfds import load_tfds
from kerakit.errors import InputError

TASKS = ("classification", "multi_label")
_SOURCES = (
    "digits (1,797 handwritten digits, which come with kerakit), folder:DIR (DIR/CLASS/IMAGE, or "
    "DIR/train/CLASS/IMAGE and DIR/val/CLASS/IMAGE), csv:FILE (a table with the columns image and "
    "labels) and tfds:NAME (a set of TensorFlow Datasets)"
)


def load(source, *, task="classification", seed=0, val_fraction=0.2, group_by=None, skip_bad=False):
    """Opens a set of examples, checked, with a part held out for validation.

    Args:
        source: `digits`; `folder:DIR`, a folder a class, below `train` and `val` or not;
            `csv:FILE`, a table with the columns image, labels and, if need be, split;
            `tfds:NAME` or `tfds:DIR`, a set that TensorFlow Datasets has written on this disk.
        task: What the examples are for: "classification", one label each, or "multi_label",
            any number each, which csv: and tfds: can hold.
        seed: Salt of the split of a set that has none of its own.
        val_fraction: Share held out of such a set, about; in (0, 1).
        group_by: For `folder:DIR` or `csv:FILE` without train and val: None, or a regular
            expression searched for in CLASS/NAME, or in the image as the table names it; files
            for which its first group (or, without one, the match) is the same stay on one side.
            Use it when several images show the same thing.
        skip_bad: Leave bad files of a folder or table out with a warning, rather than stop.

    Returns:
        `Data`: `.train` and `.val`, tf.data of dicts with `image` uint8 (H, W, 3), `label` int32
        (for "multi_label" float32 (K,) of 0 and 1) and `example_id` int32 (0 to size - 1 in each
        part), their sources, and `.classes`.

    Raises:
        InputError: If there is no such source, or something in it is bad: one sentence that
            names the file.

    Example:

    >>> data = load("digits")
    >>> data.train_source.size, data.val_source.size, data.classes[:3]
    (1437, 360, ('0', '1', '2'))
    """
    if task not in TASKS:
        raise InputError(f"`task` must be {', '.join(TASKS)}, got {task!r}.")
    if not 0 < val_fraction < 1:
        raise InputError(f"`val_fraction` must be between 0 and 1, got {val_fraction}.")
    kind, _, place = source.partition(":")
    if group_by is not None and kind not in ("folder", "csv"):
        raise InputError(
            f"`group_by` works on folder:DIR and csv:FILE alone, got it with {source}."
        )
    if task == "multi_label" and (source == "digits" or kind == "folder"):
        raise InputError(
            f"{source} has one label an image; for several, as --multi-label says, give csv:FILE "
            "or tfds:NAME."
        )
    if source == "digits":
        return load_digits()
    if kind == "folder" and place:
        return load_folder(
            place, seed=seed, val_fraction=val_fraction, group_by=group_by, skip_bad=skip_bad
        )
    if kind == "csv" and place:
        return load_table(
            place,
            task=task,
            seed=seed,
            val_fraction=val_fraction,
            group_by=group_by,
            skip_bad=skip_bad,
        )
    if kind == "tfds" and place:
        return load_tfds(place, task=task, seed=seed, val_fraction=val_fraction)
    hint = f" For that folder give folder:{source}." if pathlib.Path(source).is_dir() else ""
    raise InputError(f"{source!r} is no source of data; there are {_SOURCES}.{hint}")
