"""Images and their labels in a table: `csv:FILE`."""

import csv
import os
import pathlib
import warnings
from typing import NamedTuple

import numpy as np

from kerakit.data.classes import checked_classes
from kerakit.data.complaint import complain, refused_images, some
from kerakit.data.source import Data, file_source
from kerakit.data.split import grouping, held_out
from kerakit.errors import InputError

_COLUMNS = ("image", "labels", "split")
_PARTS = ("train", "val")


class _Row(NamedTuple):
    line: int
    image: str
    path: pathlib.Path
    labels: tuple[str, ...]
    part: str


def load_table(file, *, task, seed, val_fraction, group_by, skip_bad):
    """Reads a CSV with the columns image and labels, and, if it has one, split.

    An image is the path of its file from the table's folder; labels are names of classes with
    `|` between them, none in an empty cell; a split is train or val. A table without that
    column is divided by a hash of the images' paths.

    Args:
        file: The table, UTF-8, with the names of the columns in its first line.
        task: "classification", one label a row, or "multi_label".
        seed: Salt of the hash.
        val_fraction: Share held out where there is no split, about; in (0, 1).
        group_by: None, or a regular expression searched for in the image's path as the table
            has it: rows for which its first group (or, without one, the match) is the same stay
            on one side.
        skip_bad: Leave out images that are missing or cannot be read, with a warning, rather
            than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is wrong: one sentence that names the file and the line.
    """
    table = pathlib.Path(file)
    if not table.is_file():
        what = "this is a folder, not a table" if table.exists() else "there is no such file"
        raise InputError(f"{table}: {what}; give csv:FILE.")
    rows, has_split = _read(table)
    if has_split and group_by is not None:
        raise InputError(f"{table} has a column split already: group_by has nothing to do there.")
    _check_rows(table, rows, multi_label=task == "multi_label")
    rows = _readable(table, rows, skip_bad)
    if not has_split:
        group_of = grouping(group_by)
        rows = [
            row._replace(part=_PARTS[held_out(key, seed=seed, fraction=val_fraction)])
            for row in rows
            for key in [group_of(row.image, f"{table}, line {row.line}")]
        ]
    parts = {part: [row for row in rows if row.part == part] for part in _PARTS}
    classes = _classes(table, parts, has_split)
    sources = {part: _source(there, classes, task) for part, there in parts.items()}
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=classes,
        name=f"csv:{file}",
        task=task,
    )


def _read(table):
    """The rows, and whether the table says which of them are held out."""
    try:
        # utf-8-sig: spreadsheets put a mark before the first letter.
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            _check_header(table, header)
            reader.fieldnames = header
            rows = [_row(table, reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a CSV in UTF-8 ({error}).") from error
    return rows, "split" in header


def _check_header(table, header):
    for column in ("image", "labels"):
        if column not in header:
            raise InputError(
                f"{table}, line 1: there is no column {column}; the first line must be "
                f"image,labels or image,labels,split, and it is {','.join(header) or 'empty'}."
            )
    for column in _COLUMNS:
        if header.count(column) > 1:
            raise InputError(f"{table}, line 1: the column {column} stands twice.")
    if others := [name for name in header if name not in _COLUMNS]:
        warnings.warn(f"{table}: not read are the columns {some(others)}.", stacklevel=5)


def _row(table, line, cells):
    where = f"{table}, line {line}"
    if None in cells or None in cells.values():
        raise InputError(f"{where}: it has not as many cells as the first line.")
    image, part = cells["image"].strip(), cells.get("split", "").strip()
    if not image:
        raise InputError(f"{where}: it names no image.")
    if "split" in cells and part not in _PARTS:
        raise InputError(f"{where}: split must be train or val, got {part!r}.")
    text = cells["labels"].strip()
    labels = tuple(label.strip() for label in text.split("|")) if text else ()
    if "" in labels:
        raise InputError(f"{where}: a label in {text!r} is empty.")
    if len(set(labels)) < len(labels):
        raise InputError(f"{where}: a label in {text!r} stands twice.")
    # Without `..` in it, so that two ways to write one path are found to be one.
    path = pathlib.Path(os.path.normpath(table.parent / image))
    return _Row(line, image, path, labels, part)


def _check_rows(table, rows, *, multi_label):
    lines = {}
    for row in rows:
        first = lines.setdefault(row.path, row.line)
        if first != row.line:
            raise InputError(
                f"{table}, line {row.line}: the image {row.image} stands in line {first} already; "
                "one row must hold all of its labels."
            )
        if not multi_label and len(row.labels) != 1:
            many = f"{len(row.labels)} labels" if row.labels else "no label"
            raise InputError(
                f"{table}, line {row.line}: {row.image} has {many}, and without --multi-label "
                "each image has one."
            )


def _readable(table, rows, skip_bad):
    """The rows whose images can be read; complains about the others."""
    missing = [row for row in rows if not row.path.is_file()]
    if missing:
        first, *others = missing
        more = f", nor {len(others)} more: {some(row.path for row in others)}" if others else ""
        complain(f"{table}, line {first.line}: there is no file {first.path}{more}", skip_bad)
        rows = [row for row in rows if row.path.is_file()]
    refused = refused_images([row.path for row in rows], root=table, skip_bad=skip_bad)
    return [row for row in rows if row.path not in refused]


def _classes(table, parts, has_split):
    for part, there in parts.items():
        if not there:
            remedy = "" if has_split else "; give another `val_fraction` (or `group_by`)"
            raise InputError(f"{table}: there are no images for {part}{remedy}.")
    classes = checked_classes(sorted({label for row in parts["train"] for label in row.labels}))
    for row in parts["val"]:
        for label in row.labels:
            if label not in classes:
                raise InputError(
                    f"{table}, line {row.line}: the class {label} is held out for validation but "
                    f"no training image has it; the classes to learn are {some(classes)}."
                )
    if len(classes) < 2:
        found = f"one class to learn, {classes[0]}" if classes else "no class to learn"
        raise InputError(f"{table} has {found}: two or more are needed.")
    if not any(row.labels for row in parts["val"]):
        raise InputError(f"{table}: no image held out has a label, so nothing can be measured.")
    return classes


def _source(rows, classes, task):
    numbers = {name: number for number, name in enumerate(classes)}
    if task == "multi_label":
        labels = np.zeros((len(rows), len(classes)), np.float32)
        for labels_of_row, row in zip(labels, rows, strict=True):
            labels_of_row[[numbers[label] for label in row.labels]] = 1
    else:
        labels = np.array([numbers[row.labels[0]] for row in rows], np.int32)
    return file_source([row.path for row in rows], labels)
