"""Numbered versions of an export, each written whole or not at all."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from kerakit.errors import InputError


def versions(directory):
    """Numbers of the versions under `directory`, rising, as TensorFlow Serving finds them."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(
        int(path.name) for path in directory.iterdir() if path.name.isdigit() and path.is_dir()
    )


def version_folder(directory):
    """The SavedModel that a folder means: itself, or its newest version.

    Args:
        directory: A version's folder, or the folder that holds versions.

    Returns:
        Path of the folder that holds `saved_model.pb`.

    Raises:
        InputError: If there is no SavedModel in either place.
    """
    directory = Path(directory)
    if (directory / "saved_model.pb").is_file():
        return directory
    found = [n for n in versions(directory) if (directory / str(n) / "saved_model.pb").is_file()]
    if found:
        return directory / str(found[-1])
    if not directory.exists():
        raise InputError(
            f"{directory} does not exist; give the folder of a SavedModel, such as "
            "savedmodels/<name> or savedmodels/<name>/1."
        )
    raise InputError(
        f"{directory} is not a SavedModel: neither it nor a numbered folder in it "
        "holds a file saved_model.pb."
    )


@contextlib.contextmanager
def written_whole(target):
    """A folder to write in, which becomes `target` in one step if all goes well.

    A server that watches the folder of versions, or a reader after a failure, sees
    either the finished version or none.

    Args:
        target: The folder that is to be; it must not exist yet.

    Yields:
        An empty folder beside it.

    Raises:
        InputError: If `target` exists or cannot be written; nothing is left then.
    """
    target = Path(target)
    if target.exists():
        raise InputError(f"{target} exists already; give another version or another folder.")
    is_new = not target.parent.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # mkdtemp closes its folder to other users, so the one to be renamed lies inside it.
        shelter = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            folder = shelter / target.name
            folder.mkdir()
            yield folder
            folder.rename(target)
        finally:
            shutil.rmtree(shelter, ignore_errors=True)
    except BaseException as error:
        if is_new:
            with contextlib.suppress(OSError):
                target.parent.rmdir()  # refuses when it is not empty
        if isinstance(error, OSError):
            raise InputError(
                f"{target} cannot be written ({why_unwritable(error)}); nothing was left there."
            ) from error
        raise


def why_unwritable(error):
    """The reason in an `OSError`, as a person would say it."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file stands where a folder is needed"
    return error.strerror or str(error)
