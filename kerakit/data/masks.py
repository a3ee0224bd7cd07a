"""Images with a mask of class ids each: `masks:DIR`."""

import json
import pathlib

from kerakit.data.check import DECODE_LIMIT
from kerakit.data.classes import checked_classes
from kerakit.data.complaint import complain, refused_images, some
from kerakit.data.folder import EXTENSIONS
from kerakit.data.image_size import image_sizes
from kerakit.data.mask_counts import MaskCounts
from kerakit.data.mask_files import checked_masks, mask_reader
from kerakit.data.prepare import IGNORE
from kerakit.data.source import Data, file_source
from kerakit.data.split import grouping, held_out
from kerakit.errors import InputError


def load_masks(directory, *, seed, val_fraction, group_by, skip_bad):
    """Reads DIR/images/train/NAME.jpg with DIR/masks/train/NAME.png, the same below val.

    Without train and val, DIR/images/NAME.jpg with DIR/masks/NAME.png, split by a hash of the
    name. DIR/classes.json says what the ids are called, from 0:
    `{"classes": ["background", "cell"], "ignore": null}`, or a number for `ignore`, the id of
    pixels that do not count; 255 never does.

    Args:
        directory: DIR.
        seed: Salt of the hash.
        val_fraction: Share held out where DIR has no train and val, about; in (0, 1).
        group_by: None, or a regular expression searched for in the images' names: files for
            which its first group (or, without one, the match) is the same stay on one side.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If something is wrong: one sentence that names the file.
    """
    root = pathlib.Path(directory)
    for folder in (root / "images", root / "masks"):
        if not folder.is_dir():
            raise InputError(f"{root}: there is no folder {folder}.")
    classes, ignore = _classes(root / "classes.json")
    parts = _parts(root, seed=seed, val_fraction=val_fraction, group_by=group_by)
    sources = {
        part: _source(root, pairs, len(classes), ignore=ignore, skip_bad=skip_bad)
        for part, pairs in parts.items()
    }
    _check_classes(root, sources, classes, ignore=ignore)
    return Data(
        train_source=sources["train"],
        val_source=sources["val"],
        classes=classes,
        name=f"masks:{directory}",
        task="segmentation",
    )


def _classes(file):
    """Names of the classes, and the id to be ignored or None."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f'{file}: there is no such file; it says what the ids are called, as in {{"classes": '
            '["background", "cell"], "ignore": null}.'
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: it cannot be read ({error}).") from error
    names = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(names, list) or not 2 <= len(names) < IGNORE:
        raise InputError(
            f"{file}: `classes` must be a list of 2 to {IGNORE - 1} names, got {names!r}."
        )
    ignore = content.get("ignore")
    if ignore is not None and (type(ignore) is not int or not 0 <= ignore <= IGNORE):
        raise InputError(f"{file}: `ignore` must be null or an id of 0 to {IGNORE}, got {ignore}.")
    return checked_classes(names), ignore


def _parts(root, *, seed, val_fraction, group_by):
    """Dict from "train" and "val" to lists of (image, mask) paths."""
    images = root / "images"
    there = [part for part in ("train", "val") if (images / part).is_dir()]
    if len(there) == 1:
        missing = images / ("val" if there == ["train"] else "train")
        raise InputError(f"{root}: beside {images / there[0]} there is no folder {missing}.")
    if there:
        if group_by is not None:
            raise InputError(
                f"{root} is divided into train and val already: group_by has nothing to do there."
            )
        return {part: _pairs(images / part, root / "masks" / part) for part in there}
    parts, group_of = {"train": [], "val": []}, grouping(group_by)
    for image, mask in _pairs(images, root / "masks"):
        held = held_out(group_of(image.stem, image), seed=seed, fraction=val_fraction)
        parts["val" if held else "train"].append((image, mask))
    for part, pairs in parts.items():
        if not pairs:
            raise InputError(
                f"{root}: the split leaves no images for {part}; give another `val_fraction` (or "
                "`group_by`), or folders train and val."
            )
    return parts


def _pairs(images, masks):
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in EXTENSIONS)
    if not found:
        raise InputError(f"{images}: there are no images in it ({', '.join(EXTENSIONS)}).")
    names = [path.stem for path in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{images}: two images are called {twice}, and there is one mask for it.")
    return [(path, masks / f"{path.stem}.png") for path in found]


def _source(root, pairs, num_classes, *, ignore, skip_bad):
    missing = [mask for _, mask in pairs if not mask.is_file()]
    if missing:
        more = f", nor {len(missing) - 1} more: {some(missing[1:])}" if missing[1:] else ""
        complain(f"{root}: there is no mask {missing[0]}{more}", skip_bad, what="images")
    absent = set(missing)
    pairs = [(image, mask) for image, mask in pairs if mask not in absent]
    refused = refused_images([image for image, _ in pairs], root=root, skip_bad=skip_bad)
    pairs = [(image, mask) for image, mask in pairs if image not in refused]
    counts = None
    if pairs and len(pairs) < DECODE_LIMIT:
        sizes = image_sizes([image for image, _ in pairs])
        faults, pixels = checked_masks(
            [mask for _, mask in pairs], sizes, num_classes=num_classes, ignore=ignore
        )
        if faults:
            first, *others = faults
            names = some(pairs[place][1] for place in others)
            more = f" ({len(others)} more: {names})" if others else ""
            complain(f"{pairs[first][1]}: {faults[first]}{more}", skip_bad, what="images")
        good = [place for place in range(len(pairs)) if place not in faults]
        pairs = [pairs[place] for place in good]
        counts = MaskCounts(sizes[good], pixels[good])
    if not pairs:
        raise InputError(f"{root}: no image of a part of it can be used.")
    return file_source(
        [image for image, _ in pairs],
        read_mask=mask_reader([mask for _, mask in pairs], ignore=ignore),
        masks=counts,
    )


def _check_classes(root, sources, classes, *, ignore):
    """A class that no training mask shows cannot be learnt, and what is ignored not judged."""
    for part, source in sources.items():
        if source.masks is None:
            continue
        shares = source.masks.class_shares()
        if not shares.any():
            raise InputError(f"{root}: no pixel of the masks for {part} has a class.")
        absent = [classes[k] for k in (shares == 0).nonzero()[0] if k != ignore]
        if part == "train" and absent:
            raise InputError(
                f"{root}: no training mask has a pixel of the class {some(absent)}; add some, or, "
                "if it is the last one, take it out of classes.json."
            )
