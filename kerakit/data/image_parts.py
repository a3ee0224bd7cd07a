"""Image files of a set with objects: there, readable, and as large as the set says."""

from kerakit.data.check import DECODE_LIMIT
from kerakit.data.complaint import complain, refused_images, some
from kerakit.data.image_size import image_sizes


def usable_images(paths, *, root, skip_bad):
    """Which of the image files are there and can be read; complains about the others.

    Args:
        paths: Dict from each image's key to its path.
        root: What the set is known by; see `unreadable_images`.
        skip_bad: Whether to go on without them.

    Returns:
        The dict without them.

    Raises:
        InputError: If there are some, unless `skip_bad`.
    """
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        more = f", nor {len(missing) - 1} more: {some(missing[1:])}" if missing[1:] else ""
        complain(f"{root}: there is no file {missing[0]}{more}", skip_bad)
    there = {key: path for key, path in paths.items() if path.is_file()}
    refused = refused_images(list(there.values()), root=root, skip_bad=skip_bad)
    return {key: path for key, path in there.items() if path not in refused}


def images_as_annotated(paths, sizes, *, annotated_in, skip_bad):
    """Which of the images have the size that their annotation says, in sets under 20,000 files.

    Boxes on an image of another size lie elsewhere than what they mark.

    Args:
        paths: Dict from each image's key to its path.
        sizes: Dict from each image's key to (height, width) as annotated.
        annotated_in: Dict from each image's key, or one path for all: where that stands.
        skip_bad: Whether to go on without the others.

    Returns:
        The dict without the others.

    Raises:
        InputError: If there are others, unless `skip_bad`.
    """
    if not paths or len(paths) >= DECODE_LIMIT:
        return paths
    found = dict(zip(paths, image_sizes(paths.values()).tolist(), strict=True))
    others = [key for key in paths if list(sizes[key]) != found[key]]
    if others:
        first = others[0]
        where = annotated_in[first] if isinstance(annotated_in, dict) else annotated_in
        (height, width), (real_height, real_width) = sizes[first], found[first]
        more = f" ({len(others) - 1} more: {some(paths[key] for key in others[1:])})"
        complain(
            f"{paths[first]} is shown {real_width} wide and {real_height} high, and {where} says "
            f"{width} wide and {height} high{more if others[1:] else ''}: its boxes would lie "
            "elsewhere",
            skip_bad,
            what="images",
        )
    return {key: path for key, path in paths.items() if key not in set(others)}
