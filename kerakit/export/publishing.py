"""A run's export to the place that servers read."""

import shutil
from pathlib import Path

from kerakit.errors import InputError
from kerakit.export.card import read_card
from kerakit.export.folder import version_folder, written_whole
from kerakit.export.model_config import write_model_config


def publish(run, *, to="savedmodels", name=None):
    """Copies the newest version of a run's SavedModel to `<to>/<name>/<version>/`.

    For TensorFlow Serving `<to>/models.config` is written anew, with all models that are there.

    Args:
        run: Folder of the run, or its name under `runs/`.
        to: Folder that holds the published models; made if need be.
        name: Name to publish under; the run's by default.

    Returns:
        Path of the published version.

    Raises:
        InputError: If the run has no verified SavedModel, the version is there already, or
            something cannot be written.
    """
    folder = Path(run)
    if not folder.is_dir():
        folder = Path("runs") / run
    if not folder.is_dir():
        raise InputError(f"There is no run {run}: neither {run} nor {folder} is a folder.")
    if not (folder / "savedmodel").is_dir():
        raise InputError(
            f"{folder} has no SavedModel: its training is not finished, or it is no run's folder."
        )
    source = version_folder(folder / "savedmodel")
    verification = read_card(source)["verification"]
    if not verification:
        raise InputError(f"{source} was never verified: run kerakit.export.verify on it first.")
    if not verification["passed"]:
        raise InputError(
            f"{source} failed its verification ({verification['finding']}), so it is not published."
        )
    name = name or folder.resolve().name
    if name in (".", "..") or "/" in name or "\\" in name:
        raise InputError(f"--name {name} must be the name of one folder, without slashes.")
    target = Path(to) / name / source.name
    if target.exists():
        raise InputError(
            f"{target} exists already; publish under another name with --name, or remove it first."
        )
    with written_whole(target) as copy:
        shutil.copytree(source, copy, dirs_exist_ok=True)
    write_model_config(to)
    return target
