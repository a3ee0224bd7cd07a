"""Images with boxes and masks in COCO's format: `coco:DIR`."""

import json
import pathlib
from typing import NamedTuple

from kerakit.data.classes import checked_classes
from kerakit.data.image_parts import images_as_annotated, usable_images
from kerakit.data.mask_shapes import segmentation_fault
from kerakit.data.object_checks import (
    Findings,
    box_fault,
    clipped_boxes,
    used_classes,
    warn_of_empty_boxes,
)
from kerakit.data.objects import Objects
from kerakit.data.source import Data, file_source
from kerakit.errors import InputError

_YEARS = ("", "2017", "2014")


class _Part(NamedTuple):
    file: pathlib.Path
    images_folder: pathlib.Path
    content: dict


def load_coco(directory, *, task, skip_bad):
    """Reads DIR/annotations/instances_{train,val}.json and DIR/images/{train,val}/.

    COCO's own names are read too: instances_train2017.json (or 2014), images in train2017/, in
    DIR or in DIR/images. Classes are the categories in the order of their numbers, which may
    have gaps: `category_ids`. Images without a box stay, crowds too, marked.

    Args:
        directory: DIR.
        task: "detection", or "instance_segmentation", which needs polygons or run lengths.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is wrong: one sentence that names the file and the annotation.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        what = "this is a file, not a folder" if root.exists() else "there is no such folder"
        raise InputError(f"{root}: {what}.")
    parts = {name: _read(root, name) for name in ("train", "val")}
    categories = _categories(parts["train"])
    if (others := _categories(parts["val"])) != categories:
        number = sorted(dict(set(categories.items()) ^ set(others.items())))[0]
        raise InputError(
            f"{parts['val'].file}: category {number} is not what it is in "
            f"{parts['train'].file}; both need the same `categories`."
        )
    tables = {
        name: _part(part, sorted(categories), task=task, skip_bad=skip_bad)
        for name, part in parts.items()
    }
    objects = {name: table for name, (_, table) in tables.items()}
    ids, names = sorted(categories), [categories[number] for number in sorted(categories)]
    used = used_classes(names, objects, where=root, skip_bad=skip_bad)
    sources = {
        name: file_source(paths, objects=table.restricted_to(used))
        for name, (paths, table) in tables.items()
    }
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=checked_classes(names[number] for number in used),
        category_ids=tuple(ids[number] for number in used),
        name=f"coco:{directory}",
        task=task,
    )


def _read(root, part):
    tried = [root / "annotations" / f"instances_{part}{year}.json" for year in _YEARS]
    years = [year for year, file in zip(_YEARS, tried, strict=True) if file.is_file()]
    if not years:
        raise InputError(f"{root}: there is no file {tried[0]}, nor {tried[1].name}.")
    file = root / "annotations" / f"instances_{part}{years[0]}.json"
    names = [part + years[0], part]
    folders = [base / name for name in names for base in (root / "images", root)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise InputError(f"{root}: there is no folder {folders[0]} with the images of {file}.")
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON ({error}).") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{file}: it has no list `{key}`.")
        for place, entry in enumerate(content[key]):
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
                raise InputError(f"{file}: entry {place} of `{key}` (from 0) has no whole `id`.")
    return _Part(file, folder, content)


def _categories(part):
    categories = {}
    for category in part.content["categories"]:
        if category["id"] in categories:
            raise InputError(f"{part.file}: two categories have the id {category['id']}.")
        if not isinstance(category.get("name"), str):
            raise InputError(f"{part.file}: category {category['id']} has no name.")
        categories[category["id"]] = category["name"]
    checked_classes(categories.values())
    return categories


def _part(part, category_ids, *, task, skip_bad):
    """Paths of the images that are good, and their objects."""
    findings = Findings(skip_bad)
    images = _images(part, findings)
    annotations = _annotations(part, images, set(category_ids), task, findings)
    findings.report()
    paths = {number: part.images_folder / image["file_name"] for number, image in images.items()}
    paths = usable_images(paths, root=part.file, skip_bad=skip_bad)
    sizes = {number: _size(images[number]) for number in paths}
    paths = images_as_annotated(paths, sizes, annotated_in=part.file, skip_bad=skip_bad)
    if not paths:
        raise InputError(f"{part.file}: no image of it can be used.")
    annotations = [found for found in annotations if found["image_id"] in paths]
    boxes, has_area = clipped_boxes(
        [_corners(found["bbox"]) for found in annotations],
        [sizes[found["image_id"]] for found in annotations],
    )
    empty = [found["id"] for found, good in zip(annotations, has_area, strict=True) if not good]
    warn_of_empty_boxes(
        len(empty), where=part.file, first=f"annotation {empty[0]}" if empty else ""
    )
    annotations = [found for found, good in zip(annotations, has_area, strict=True) if good]
    boxes = boxes[has_area]
    place = {number: row for row, number in enumerate(paths)}
    label = {number: row for row, number in enumerate(category_ids)}
    sides = boxes[:, 2:] - boxes[:, :2]
    objects = Objects(
        [sizes[number] for number in paths],
        image=[place[found["image_id"]] for found in annotations],
        boxes=boxes,
        labels=[label[found["category_id"]] for found in annotations],
        crowd=[bool(found.get("iscrowd", 0)) for found in annotations],
        area=[
            found.get("area", area)
            for found, area in zip(annotations, sides.prod(axis=1), strict=True)
        ],
        segmentations=(
            [found["segmentation"] for found in annotations]
            if task == "instance_segmentation"
            else None
        ),
    )
    return list(paths.values()), objects


def _images(part, findings):
    images, files = {}, set()
    for image in part.content["images"]:
        what = f"{part.file}: image {image['id']}"
        sides = [image.get("height"), image.get("width")]
        if not isinstance(image.get("file_name"), str):
            raise InputError(f"{what} has no `file_name`.")
        if not all(isinstance(side, int) and side > 0 for side in sides):
            raise InputError(f"{what} has no whole `height` and `width` above 0.")
        if image["id"] in images:
            findings.add("image id", f"{part.file}: two images have the id {image['id']}")
        elif image["file_name"] in files:
            findings.add("image file", f"{what} has the file of another one, {image['file_name']}")
        else:
            images[image["id"]] = image
            files.add(image["file_name"])
    return images


def _annotations(part, images, category_ids, task, findings):
    good, ids = [], set()
    for found in part.content["annotations"]:
        what = f"{part.file}: annotation {found['id']}"
        if found["id"] in ids:
            findings.add("id", f"{part.file}: two annotations have the id {found['id']}")
            continue
        ids.add(found["id"])
        if found.get("image_id") not in images:
            findings.add(
                "image", f"{what} names image {found.get('image_id')}, which is not in `images`"
            )
            continue
        if found.get("category_id") not in category_ids:
            findings.add(
                "category",
                f"{what} names category {found.get('category_id')}, which is not in `categories`",
            )
            continue
        box, image = found.get("bbox"), images[found["image_id"]]
        if not isinstance(box, list) or [type(x) in (int, float) for x in box] != [True] * 4:
            findings.add("bbox", f"{what} has no `bbox` of four numbers")
            continue
        kind, fault = "box", box_fault(_corners(box), _size(image))
        # The mask of a box without an area is left out with it.
        if fault is None and task == "instance_segmentation" and box[2] > 0 and box[3] > 0:
            kind, fault = "mask", segmentation_fault(found.get("segmentation"), _size(image))
        if fault is None:
            good.append(found)
        else:
            findings.add(kind, f"{what} of {image['file_name']}: {fault}")
    return good


def _corners(box):
    left, top, width, height = box
    return left, top, left + width, top + height


def _size(image):
    return image["height"], image["width"]
