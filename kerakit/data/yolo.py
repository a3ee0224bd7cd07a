"""Images with boxes in YOLO's format: `yolo:DIR`."""

import pathlib
import re

from kerakit.data.annotated_files import Annotated, annotated_data
from kerakit.data.classes import checked_classes
from kerakit.data.complaint import complain, refused_images, some
from kerakit.data.folder import EXTENSIONS
from kerakit.data.image_size import image_sizes
from kerakit.data.object_checks import Findings, box_fault
from kerakit.errors import InputError

# Names of the folder of a part, in the order they are looked for.
_PARTS = {"train": ("train",), "val": ("val", "valid", "test")}


def load_yolo(directory, *, task, skip_bad):
    """Reads DIR/images/{train,val}/ with DIR/labels/{train,val}/*.txt beside them.

    DIR/{train,valid}/{images,labels}/ is read too. A line is a class's number and centre x,
    centre y, width and height as shares of the image; an image without a file has no object.
    Classes are `names` in DIR/data.yaml, or the lines of DIR/classes.txt.

    Args:
        directory: DIR.
        task: "detection".
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is wrong: one sentence that names the file and the line.
    """
    root = pathlib.Path(directory)
    classes = _classes(root)
    findings = Findings(skip_bad)
    folders = {part: _folders(root, part) for part in _PARTS}
    images = {
        part: _read_part(root, *pair, classes, findings, skip_bad) for part, pair in folders.items()
    }
    findings.report()
    return annotated_data(
        images, classes=classes, root=root, name=f"yolo:{directory}", task=task, skip_bad=skip_bad
    )


def _classes(root):
    file = root / "data.yaml"
    if file.is_file():
        names = _yaml_names(file)
    else:
        file = root / "classes.txt"
        if not file.is_file():
            raise InputError(f"{root}: there is neither data.yaml nor {file} with the classes.")
        names = file.read_text(encoding="utf-8").splitlines()
        names = [name.strip() for name in names if name.strip()]
    if not names:
        raise InputError(f"{file}: it names no classes.")
    return checked_classes(names)


def _yaml_names(file):
    """The names in a data.yaml: `[a, b]`, a list a line, or numbers and names a line."""
    text = re.sub(r"(^|\s)#.*", "", file.read_text(encoding="utf-8"))
    found = re.search(
        r"^names:[ \t]*(\[[^\]]*\]|\{[^}]*\})?((?:\n[ \t]*(?:-|\w+:).*)*)", text, re.M
    )
    if found is None:
        raise InputError(f"{file}: it has no `names`.")
    if found[1]:
        entries = re.split(r",", found[1][1:-1])
    else:
        # What is not indented and no list belongs to the next key.
        lines = found[2].splitlines()
        entries = [line for line in lines if re.match(r"[ \t]+\S|-", line)]
    entries = [entry.strip().removeprefix("-").strip() for entry in entries if entry.strip()]
    if entries and all(re.match(r"\d+\s*:", entry) for entry in entries):
        numbered = {int(e.split(":", 1)[0]): e.split(":", 1)[1].strip() for e in entries}
        gaps = sorted(set(range(max(numbered) + 1)) - set(numbered))
        if gaps:
            raise InputError(f"{file}: `names` has no class {gaps[0]}; numbers must have no gap.")
        entries = [numbered[number] for number in range(len(numbered))]
    return [entry.strip("'\"") for entry in entries]


def _folders(root, part):
    tried = []
    for name in _PARTS[part]:
        for images, labels in (
            (root / "images" / name, root / "labels" / name),
            (root / name / "images", root / name / "labels"),
        ):
            if images.is_dir() and labels.is_dir():
                return images, labels
            tried.append(images)
    raise InputError(
        f"{root}: there are no folders {tried[0]} and {root / 'labels' / part}, with the images "
        "and the labels."
    )


def _read_part(root, images_folder, labels_folder, classes, findings, skip_bad):
    entries = [entry for entry in images_folder.iterdir() if not entry.name.startswith(".")]
    images = sorted(entry for entry in entries if entry.suffix.lower() in EXTENSIONS)
    stems = {image.stem for image in images}
    alone = [file for file in sorted(labels_folder.glob("*.txt")) if file.stem not in stems]
    if alone := [file for file in alone if file.name != "classes.txt"]:
        complain(
            f"{labels_folder}: no image belongs to {some(file.name for file in alone)}", skip_bad
        )
    refused = refused_images(images, root=root, skip_bad=skip_bad)
    images = [image for image in images if image not in refused]
    if not images:
        raise InputError(f"{images_folder}: there are no images in it.")
    sizes = [tuple(size) for size in image_sizes(images).tolist()]
    return [
        _read(image, labels_folder / f"{image.stem}.txt", size, classes, findings)
        for image, size in zip(images, sizes, strict=True)
    ]


def _read(image, file, size, classes, findings):
    boxes, names = [], []
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        what = f"{file}, line {place}"
        try:
            number, *shares = [float(word) for word in line.split()]
        except ValueError:
            findings.add("numbers", f"{what}: {line.strip()[:40]!r} is no line of numbers")
            continue
        if len(shares) != 4:
            findings.add(
                "count",
                f"{what}: a class and four numbers are needed, and there are {len(shares)} "
                "after the class",
            )
            continue
        if number not in range(len(classes)):
            findings.add(
                "class", f"{what}: there is no class {number:g}; they are 0 to {len(classes) - 1}"
            )
            continue
        x, y, width, height = (
            share * side for share, side in zip(shares, (size[1], size[0]) * 2, strict=True)
        )
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if fault := box_fault(box, size):
            findings.add("box", f"{what}: {fault}")
            continue
        boxes.append(box)
        names.append(classes[int(number)])
    return Annotated(image, file, size, boxes, names, [False] * len(boxes))
