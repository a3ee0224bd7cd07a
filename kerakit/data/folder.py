"""Images in a folder a class: `folder:DIR`."""

from kerakit.data.class_folders import FileKind, files_by_class
from kerakit.data.complaint import refused_images
from kerakit.data.source import Data, file_source

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_IMAGES = FileKind(
    source="folder",
    one="image",
    many="images",
    example="IMAGE.jpg",
    extensions=EXTENSIONS,
)


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

    def refused(paths):
        return refused_images(paths, root=directory, skip_bad=skip_bad)

    classes, files = files_by_class(
        directory,
        _IMAGES,
        refused,
        seed=seed,
        val_fraction=val_fraction,
        group_by=group_by,
        skip_bad=skip_bad,
    )
    return Data(
        train_source=_source(files["train"]),
        val_source=_source(files["val"]),
        classes=classes,
        name=f"folder:{directory}",
    )


def _source(files):
    return file_source([path for path, _ in files], [label for _, label in files])
