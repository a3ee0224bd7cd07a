"""Files in a folder a class, below train and val or divided by a hash of their names."""

import dataclasses
import pathlib
import warnings

from kerakit.data.classes import checked_classes
from kerakit.data.complaint import complain, some
from kerakit.data.split import grouping, held_out
from kerakit.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileKind:
    """What the files are, and are called in messages.

    Attributes:
        source: Word before the colon in what `load` is given.
        one: One of the files, such as "image".
        many: Several of them.
        example: Name of a file.
        extensions: Endings by which they are told, in lower case.
    """

    source: str
    one: str
    many: str
    example: str
    extensions: tuple[str, ...]


def files_by_class(directory, kind, refused, *, seed, val_fraction, group_by, skip_bad):
    """Finds DIR/train/CLASS/* and DIR/val/CLASS/*, or divides DIR/CLASS/* by a hash of the name.

    Args:
        directory: The folder.
        kind: `FileKind`.
        refused: Function of all paths found, which gives the set of those to leave out.
        seed: Salt of the hash.
        val_fraction: Share held out where DIR has no train and val, about; in (0, 1).
        group_by: None, or a regular expression searched for in CLASS/NAME: files for which its
            first group (or, without one, the match) is the same stay on one side.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        Names of the classes; dict from "train" and "val" to lists of (path, class id), in the
        order of classes and names.

    Raises:
        InputError: If the folder is not laid out so.
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
            f"or give {kind.source}:{root / there} to have that one split."
        )
    if parts and group_by is not None:
        raise InputError(
            f"{root} is divided into train and val already: group_by has nothing to do there."
        )
    files = {
        name: _list_classes(part, kind, skip_bad) for name, part in (parts or {"": root}).items()
    }
    files = _without_refused(root, files, kind, refused)
    if not parts:
        files = _split(root, files[""], kind, seed=seed, fraction=val_fraction, group_by=group_by)

    classes = checked_classes(sorted(files["train"]))
    for name in sorted(set(files["val"]) - set(classes)):
        raise InputError(
            f"{root}: the class {name} is held out for validation but has no training {kind.many}; "
            f"the classes to learn are {some(classes)}."
        )
    if len(classes) < 2:
        raise InputError(f"{root} has one class, {classes[0]}: two or more are needed.")
    return classes, {
        part: [(path, classes.index(name)) for name in sorted(found) for path in found[name]]
        for part, found in files.items()
    }


def _list_classes(folder, kind, skip_bad):
    """Dict of the classes in a folder to their files, both sorted."""
    classes, ignored = {}, []
    for class_folder in sorted(folder.iterdir()):
        if not class_folder.is_dir() or class_folder.name.startswith("."):
            continue
        entries = [entry for entry in class_folder.iterdir() if not entry.name.startswith(".")]
        found = [e for e in entries if e.suffix.lower() in kind.extensions and e.is_file()]
        ignored += sorted(set(entries) - set(found))
        if found:
            classes[class_folder.name] = sorted(found)
        else:
            complain(
                f"{class_folder}: no {kind.many} in this class folder; add some "
                f"({', '.join(kind.extensions)}) or remove it",
                skip_bad,
            )
    if not classes:
        raise InputError(
            f"{folder}: no class folders with {kind.many} in it; expected "
            f"{folder}/CLASS/{kind.example}."
        )
    if ignored:
        warnings.warn(
            f"{len(ignored)} in {folder} not read, as they are no {kind.one} files: "
            f"{some([path.relative_to(folder) for path in ignored])}.",
            stacklevel=2,
        )
    return classes


def _without_refused(root, files, kind, refused):
    """The files without those that `refused` names."""
    bad = refused([path for part in files.values() for found in part.values() for path in found])
    if not bad:
        return files
    kept = {}
    for name, part in files.items():
        readable = {c: [path for path in found if path not in bad] for c, found in part.items()}
        for class_name in [c for c, found in readable.items() if not found]:
            raise InputError(f"{root}: no {kind.one} of the class {class_name} can be read.")
        kept[name] = readable
    return kept


def _split(root, classes, kind, *, seed, fraction, group_by):
    """Divides files by a hash of their name, which stays when others are added or removed."""
    group_of = grouping(group_by)
    parts = {"train": {}, "val": {}}
    for class_name, found in classes.items():
        for path in found:
            key = group_of(f"{class_name}/{path.name}", path)
            part = "val" if held_out(key, seed=seed, fraction=fraction) else "train"
            parts[part].setdefault(class_name, []).append(path)
    for part, there in parts.items():
        if not there:
            raise InputError(
                f"{root}: the split leaves no {kind.many} for {part}; give another `val_fraction` "
                "(or `group_by`), or folders train and val."
            )
    return parts
