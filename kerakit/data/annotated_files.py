"""Sets of which each image has an annotation file of its own: from files to `Data`."""

from typing import NamedTuple

from kerakit.data.classes import checked_classes
from kerakit.data.image_parts import images_as_annotated, usable_images
from kerakit.data.object_checks import clipped_boxes, used_classes, warn_of_empty_boxes
from kerakit.data.objects import Objects
from kerakit.data.source import Data, file_source
from kerakit.errors import InputError


class Annotated(NamedTuple):
    """What is known of an image.

    Attributes:
        image: Path of the image.
        file: Path of its annotations.
        size: (height, width) as annotated.
        boxes: List of (x1, y1, x2, y2) in pixels.
        classes: List of their classes' names.
        crowd: List of bool.
    """

    image: object
    file: object
    size: tuple
    boxes: list
    classes: list
    crowd: list


def annotated_data(parts, *, classes, root, name, task, skip_bad):
    """Checks the images of a set and makes it `Data`.

    Args:
        parts: Dict from "train" and "val" to lists of `Annotated`.
        classes: Names of the classes, in order.
        root: Folder of the set.
        name: What `load` was given.
        task: What the examples are for.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is bad, unless `skip_bad`, or nothing is left.
    """
    tables = {
        part: _table(images, classes, root=root, skip_bad=skip_bad)
        for part, images in parts.items()
    }
    objects = {part: table for part, (_, table) in tables.items()}
    used = used_classes(classes, objects, where=root, skip_bad=skip_bad)
    sources = {
        part: file_source(paths, objects=table.restricted_to(used))
        for part, (paths, table) in tables.items()
    }
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=checked_classes(classes[number] for number in used),
        name=name,
        task=task,
    )


def _table(images, classes, *, root, skip_bad):
    paths = {number: image.image for number, image in enumerate(images)}
    paths = usable_images(paths, root=root, skip_bad=skip_bad)
    paths = images_as_annotated(
        paths,
        {number: images[number].size for number in paths},
        annotated_in={number: images[number].file for number in paths},
        skip_bad=skip_bad,
    )
    if not paths:
        raise InputError(f"{root}: no image of a part of it can be used.")
    kept = [images[number] for number in paths]
    owner = [place for place, image in enumerate(kept) for _ in image.boxes]
    boxes, has_area = clipped_boxes(
        [box for image in kept for box in image.boxes], [kept[place].size for place in owner]
    )
    empty = [kept[place].file for place, good in zip(owner, has_area, strict=True) if not good]
    warn_of_empty_boxes(len(empty), where=root, first=f"in {empty[0]}" if empty else "")
    numbers = {label: number for number, label in enumerate(classes)}
    labels = [numbers[label] for image in kept for label in image.classes]
    crowd = [flag for image in kept for flag in image.crowd]

    def chosen(values):
        return [value for value, good in zip(values, has_area, strict=True) if good]

    table = Objects(
        [image.size for image in kept],
        image=chosen(owner),
        boxes=boxes[has_area],
        labels=chosen(labels),
        crowd=chosen(crowd),
    )
    return list(paths.values()), table
