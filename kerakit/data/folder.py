"""Images in a folder a class: `folder:DIR`."""

import pathlib
import warnings

from kerakit.data.classes import checked_classes
from kerakit.data.complaint import complain, refused_images, some
from kerakit.data.source import Data, file_source
from kerakit.data.split import grouping, held_out
from kerakit.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def load_folder(directory, *, seed, val_fraction, group_by, skip_bad):
    """Reads DIR/train/CLASS/* and DIR/val/CLASS/*, or DIR/CLASS/* split by a hash of the name.

    Args:
        directory: The folder.
        seed: Salt of the hash.
        val_fraction: Share held out where DIR has no train and val, about; in (0, 1).
        group_by: None, or a regular expression searched for in CLASS/NAME: files for which its
            first group (or, without one, the match) is the same stay on one side.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If the folder is not laid out so, or a file cannot be read.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        what = "this is a file, not a folder" if root.exists() else "there is no such folder"
        raise InputError(f"{root}: {what}.")
    parts = {name: root / name for name in ("train", "val") if (root / name).is_dir()}
    if len(parts) == 1:
        (there,), missing = parts, "val" if "train" in parts else "train"
        raise InputError(
            f"{root} has a folder {there} but none called {missing}: add {root / missing}/CLASS, "
            f"or give folder:{root / there} to have that one split."
        )
    if parts and group_by is not None:
        raise InputError(
            f"{root} is divided into train and val already: group_by has nothing to do there."
        )
    files = {name: _list_classes(part, skip_bad) for name, part in (parts or {"": root}).items()}
    files = _without_unreadable(root, files, skip_bad)
    if not parts:
        files = _split(root, files[""], seed=seed, fraction=val_fraction, group_by=group_by)

    classes = checked_classes(sorted(files["train"]))
    for name in sorted(set(files["val"]) - set(classes)):
        raise InputError(
            f"{root}: the class {name} is held out for validation but has no training images; "
            f"the classes to learn are {some(classes)}."
        )
    if len(classes) < 2:
        raise InputError(f"{root} has one class, {classes[0]}: two or more are needed.")
    return Data(
        train_source=_source(files["train"], classes),
        val_source=_source(files["val"], classes),
        classes=classes,
        name=f"folder:{directory}",
    )


def _list_classes(folder, skip_bad):
    """Dict of the classes in a folder to their image files, both sorted."""
    classes, ignored = {}, []
    for class_folder in sorted(folder.iterdir()):
        if not class_folder.is_dir() or class_folder.name.startswith("."):
            continue
        entries = [entry for entry in class_folder.iterdir() if not entry.name.startswith(".")]
        images = [e for e in entries if e.suffix.lower() in EXTENSIONS and e.is_file()]
        ignored += sorted(set(entries) - set(images))
        if images:
            classes[class_folder.name] = sorted(images)
        else:
            complain(
                f"{class_folder}: no images in this class folder; add some "
                f"({', '.join(EXTENSIONS)}) or remove it",
                skip_bad,
            )
    if not classes:
        raise InputError(
            f"{folder}: no class folders with images in it; expected {folder}/CLASS/IMAGE.jpg."
        )
    if ignored:
        warnings.warn(
            f"{len(ignored)} in {folder} not read, as they are no image files: "
            f"{some([path.relative_to(folder) for path in ignored])}.",
            stacklevel=2,
        )
    return classes


def _without_unreadable(root, files, skip_bad):
    """The files that can be read; complains about the others."""
    paths = [path for part in files.values() for images in part.values() for path in images]
    refused = refused_images(paths, root=root, skip_bad=skip_bad)
    if not refused:
        return files
    kept = {}
    for name, part in files.items():
        readable = {
            c: [path for path in images if path not in refused] for c, images in part.items()
        }
        for class_name in [c for c, images in readable.items() if not images]:
            raise InputError(f"{root}: no image of the class {class_name} can be read.")
        kept[name] = readable
    return kept


def _split(root, classes, *, seed, fraction, group_by):
    """Divides files by a hash of their name, which stays when others are added or removed."""
    group_of = grouping(group_by)
    parts = {"train": {}, "val": {}}
    for class_name, images in classes.items():
        for path in images:
            key = group_of(f"{class_name}/{path.name}", path)
            part = "val" if held_out(key, seed=seed, fraction=fraction) else "train"
            parts[part].setdefault(class_name, []).append(path)
    for part, there in parts.items():
        if not there:
            raise InputError(
                f"{root}: the split leaves no images for {part}; give another `val_fraction` "
                "(or `group_by`), or folders train and val."
            )
    return parts


def _source(files, classes):
    pairs = [(path, classes.index(name)) for name in sorted(files) for path in files[name]]
    return file_source([path for path, _ in pairs], [label for _, label in pairs])
