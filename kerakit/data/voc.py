"""Images with boxes in Pascal VOC's format: `voc:DIR`."""

import pathlib
from xml.etree import ElementTree as ET

from kerakit.data.annotated_files import Annotated, annotated_data
from kerakit.data.complaint import complain, some
from kerakit.data.object_checks import Findings, box_fault
from kerakit.data.split import grouping, held_out
from kerakit.errors import InputError

_LISTS = {"train": ("train.txt",), "val": ("val.txt", "test.txt")}


def load_voc(directory, *, task, seed, val_fraction, group_by, skip_bad):
    """Reads DIR/Annotations/*.xml and DIR/JPEGImages/, in parts by DIR/ImageSets/Main.

    The lists are train.txt (or trainval.txt, with test.txt beside it) and val.txt (or
    test.txt); without them the set is divided by a hash of the files' names. Classes are sorted
    by name. Objects marked difficult are kept as crowds: neither to be found nor wrong to find.
    VOC counts pixels from 1 and includes the last one: boxes become edges, (xmin - 1, ymin - 1,
    xmax, ymax).

    Args:
        directory: DIR.
        task: "detection".
        seed: Salt of the hash.
        val_fraction: Share held out where there are no lists, about; in (0, 1).
        group_by: None, or a regular expression searched for in the files' names: files for which
            its first group (or, without one, the match) is the same stay on one side.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is wrong: one sentence that names the file and the object.
    """
    root = pathlib.Path(directory)
    for folder in (root / "Annotations", root / "JPEGImages"):
        if not folder.is_dir():
            raise InputError(f"{root}: there is no folder {folder}.")
    parts = _parts(root, seed=seed, val_fraction=val_fraction, group_by=group_by)
    findings = Findings(skip_bad)
    images = {part: _read_all(root, names, findings, skip_bad) for part, names in parts.items()}
    findings.report()
    classes = sorted({name for there in images.values() for one in there for name in one.classes})
    return annotated_data(
        images, classes=classes, root=root, name=f"voc:{directory}", task=task, skip_bad=skip_bad
    )


def _parts(root, *, seed, val_fraction, group_by):
    lists = root / "ImageSets" / "Main"
    found = {
        part: next((lists / name for name in names if (lists / name).is_file()), None)
        for part, names in _LISTS.items()
    }
    if found["train"] is None and (lists / "test.txt").is_file():
        everything = lists / "trainval.txt"
        found = {"train": everything if everything.is_file() else None, "val": lists / "test.txt"}
    missing = [part for part, file in found.items() if file is None]
    if len(missing) == 1:
        there = next(file for file in found.values() if file is not None)
        raise InputError(f"{root}: beside {there} there is no list {lists / missing[0]}.txt.")
    if not missing:
        if group_by is not None:
            raise InputError(f"{root} has lists already: group_by has nothing to do there.")
        parts = {part: file.read_text().split() for part, file in found.items()}
        both = sorted(set(parts["train"]) & set(parts["val"]))
        if both:
            raise InputError(
                f"{found['val']}: held out and learnt from, in {found['train']}, are {some(both)}."
            )
        return parts
    group_of, parts = grouping(group_by), {"train": [], "val": []}
    for file in sorted((root / "Annotations").glob("*.xml")):
        held = held_out(group_of(file.stem, file), seed=seed, fraction=val_fraction)
        parts["val" if held else "train"].append(file.stem)
    return parts


def _read_all(root, names, findings, skip_bad):
    images = []
    for name in names:
        file = root / "Annotations" / f"{name}.xml"
        try:
            images.append(_read(root, file, ET.parse(file).getroot(), findings))
        except (OSError, ET.ParseError, ValueError, TypeError) as error:
            complain(f"{file}: it cannot be read ({error})", skip_bad)
    return images


def _read(root, file, tree, findings):
    size = tuple(int(tree.findtext(f"size/{side}") or "") for side in ("height", "width"))
    boxes, classes, crowd = [], [], []
    for place, found in enumerate(tree.iterfind("object"), start=1):
        what = f"{file}: object {place}"
        label = (found.findtext("name") or "").strip()
        try:
            ends = [float(found.findtext(f"bndbox/{end}") or "") for end in _ENDS]
        except ValueError:
            findings.add("numbers", f"{what} has no `bndbox` of four numbers")
            continue
        if not label:
            findings.add("name", f"{what} has no name")
            continue
        box = (ends[0] - 1, ends[1] - 1, ends[2], ends[3])
        if fault := box_fault(box, size):
            findings.add("box", f"{what}, {label}: {fault}")
            continue
        boxes.append(box)
        classes.append(label)
        crowd.append((found.findtext("difficult") or "0").strip() == "1")
    image = root / "JPEGImages" / (tree.findtext("filename") or f"{file.stem}.jpg").strip()
    return Annotated(image, file, size, boxes, classes, crowd)


_ENDS = ("xmin", "ymin", "xmax", "ymax")
