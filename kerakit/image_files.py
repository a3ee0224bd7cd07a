"""The files of images and videos that a user means, and names for pictures of them."""

from pathlib import Path

from kerakit.errors import InputError

# What TensorFlow reads, and browsers write.
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
VIDEO_SUFFIXES = {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wmv"}


def image_files(paths):
    """(file, name of its picture) for each image or video that the paths mean."""
    files = []
    for path in paths:
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in _IMAGE_SUFFIXES | VIDEO_SUFFIXES and file.is_file()
            )
            if not found:
                raise InputError(
                    f"{path} holds no images or videos; looked for "
                    f"{', '.join(sorted(_IMAGE_SUFFIXES | VIDEO_SUFFIXES))} in it and its "
                    "subfolders."
                )
            files += [(file, file.relative_to(path)) for file in found]
        elif path.is_file():
            files.append((path, Path(path.name)))
        else:
            raise InputError(f"{path} does not exist; give an image, a video, or a folder of them.")
    taken, named = set(), []
    for file, name in files:
        # a.jpg and a.png, or x/a.png and y/a.png, are two pictures.
        picture, number = name.with_suffix(".png"), 1
        while picture in taken:
            number += 1
            picture = name.with_name(f"{name.stem}-{number}.png")
        taken.add(picture)
        named.append((file, picture))
    return named


def is_video_alone(file):
    """Whether a file is a video by its name, and no image too, as a GIF is."""
    return file.suffix.lower() in VIDEO_SUFFIXES - _IMAGE_SUFFIXES


def is_image_alone(file):
    """Whether a file is an image by its name, and no video too, as a GIF is."""
    return file.suffix.lower() in _IMAGE_SUFFIXES - VIDEO_SUFFIXES


def of_kind(files, paths, *, videos):
    """Of the files found in folders those alone that a model takes; those named are kept.

    Args:
        files: As of `image_files`.
        paths: What the user named.
        videos: Whether the model takes videos, or images.

    Returns:
        List as of `image_files`.

    Raises:
        InputError: If nothing is left.
    """
    wanted, one = (VIDEO_SUFFIXES, "videos") if videos else (_IMAGE_SUFFIXES, "images")
    named = set(paths)
    kept = [pair for pair in files if pair[0] in named or pair[0].suffix.lower() in wanted]
    if not kept:
        raise InputError(
            f"{', '.join(map(str, paths))}: there are no {one}, which this model takes; looked "
            f"for {', '.join(sorted(wanted))}."
        )
    return kept


def spare_inputs(files, pictures, *, option="pictures"):
    """Refuses to draw over an image that is read."""
    read = {file.resolve() for file, _ in files}
    for _, picture in files:
        if (pictures / picture).resolve() in read:
            raise InputError(
                f"--{option} {pictures} would overwrite {pictures / picture}, which is one of the "
                "images; give another folder."
            )
